# SPDX-License-Identifier: Apache-2.0
"""Hostile partitions beside a neighbour that must feel nothing.

guest/apps/hostile.c attacks and goes on, guest/apps/fatal.c has the attacks that end their partition or never end,
guest/apps/watch.c is the neighbour: a 1 kHz task that says afterwards, for each attack, how many periods it had and
missed, its latencies and the VM exits of its vCPU. One boot serves many tests, since the neighbour keeps the attacks
apart; those of fatal.c run side by side, seven against one neighbour, so that its answer is for all of them.

What an emulator without caches cannot show: that root mode stays cached whatever the guest does to CR0.CD, PAT, MTRRs.
Bochs runs a REP string instruction as a unit, which stops the other CPUs' time: the attacks avoid long ones.
"""
import re
import time

import pytest

import bochs
import image

pytestmark = pytest.mark.time_limit(300)

# Ticks by which a latency may exceed that of the quiet time before: Bochs' turns of a few instructions, and less than
# an interrupt is late that finds its CPU in root mode (95 instructions at least, and the exit counter tells).
JITTER = 80

# images: CPUs, turn of a CPU in instructions, seconds, last line
IMAGES = {
    "hostile": (2, 4, 150, r"^\[watch\] RESULT watch .*\n"),
    "hostile_ap": (2, 4, 150, r"^\[watch\] RESULT watch .*\n"),
    "hostile_fatal": (8, 8, 120, r"^\[watch\] RESULT watch .*\n"),
    "hostile_stop": (8, 8, 120, r"^\[watch\] RESULT watch .*\n"),
    "hostile_modes": (7, 8, 120, r"^\[watch\] RESULT watch .*\n"),
    "hostile_halt": (2, 16, 60, r"^RESULT core panic"),
}


class Run:
    """What a machine said until its last line."""

    def __init__(self, name, workdir):
        cpus, quantum, seconds, last = IMAGES[name]
        self.m = m = bochs.Machine(efi=image.path(name), files=image.payloads(name), cpus=cpus, quantum=quantum,
                                   timeout=seconds, workdir=workdir)
        self.error = None
        try:
            m.start()
            m.wait_for(rf"{last}|^RESULT core (?:panic|stop)", on="e9")
            m.settle()
        except bochs.BochsError as e:
            self.error = str(e)
        finally:
            m.kill()
        self.text = m.e9.replace("\r", "")

    def line(self, pattern):
        found = re.search(rf"^{pattern}$", self.text, re.MULTILINE)
        assert found, f"no line {pattern!r}\n{self.text[-3000:]}"
        return found

    def lines(self, source, pattern):
        return re.findall(rf"^\[{source}\] {pattern}$", self.text, re.MULTILINE)

    def figures(self, pattern):
        """The name=value pairs of the line that begins so."""
        return {k: int(v) for k, v in re.findall(r"(\w+)=(-?\d+)", self.line(pattern + r" (.*)")[1])}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    done = {}

    def run(request, name, complaints=()):
        if name not in done:
            done[name] = Run(name, str(tmp_path_factory.mktemp(name)))
        r = done[name]
        request.node.machines = [r.m]
        if r.error:
            pytest.fail(r.error, pytrace=False)
        assert name == "hostile_halt" or "PANIC" not in r.text, "a guest brought the core down"
        assert not r.m.vmx_complaints(allow=complaints), "the emulator complains about the use of VMX"
        return r

    return run


def on(name, *values):
    """A test's parameters, with the machine they need: pytest-xdist gives a machine's tests to one worker."""
    return pytest.param(name, *values, marks=pytest.mark.xdist_group(name), id="-".join([name, *map(str, values[:1])]))


def pairs(names, values):
    return [on(n, v) for n in names for v in values]


def felt_nothing(r, rows):
    quiet = r.figures(r"\[watch\] WATCH quiet")
    assert quiet["periods"] > 100 and quiet["missed"] == 0 and quiet["exits"] == 0
    for row in rows:
        w = r.figures(rf"\[watch\] WATCH {row}")
        assert w["periods"] >= 20, f"{row}: too short to say anything"
        assert w["missed"] == 0 and w["exits"] == 0, f"{row}: {w}"
        assert w["max"] <= quiet["max"] + JITTER, f"{row}: {w}, quiet {quiet}"


# ---- attacks that go on: the least that must have been forbidden, by the core's own counter ------------------------
ATTACKS = {
    "memory": 786_000,      # each page of 1 GiB: read, write, execute
    "rights": 6,            # a shared page that may only be read
    "ports": 200_000,       # each port, in and out
    "strings": 12_000,
    "msrs": 50_000,         # 0 to 1FFFh, C0000000h to C0001FFFh, samples of the rest
    "cr": 0,                # #GP as from the CPU itself: no more forbidden than a slip
    "xcr": 0,
    "dr": 0,
    "instructions": 15,     # those that exit; the others the CPU refuses
    "step": 3,
    "combine": 0,
    "caching": 200,         # MTRRs
    "values": 0,
    "cpuid": 0,
    "ipi": 2_000,
    "apic": 0,
    "storm": 0,
    "hypercalls": 0,
    "user": 0,
}
BOTH = ["hostile", "hostile_ap"]
ALL_FAULT = ["memory", "rights", "strings", "step"]


@pytest.mark.parametrize("name,attack", pairs(BOTH, ATTACKS))
def test_attack(request, runs, name, attack):
    r = runs(request, name)
    a = r.figures(rf"\[hostile\] ATTACK {attack}(?= tried)")
    assert a["breaches"] == 0, r.lines("hostile", rf"BREACH {attack} .*")
    assert a["survived"] == a["timer"] == a["ipi"] == 1, a
    assert a["tried"] > 0 and a["forbidden"] >= ATTACKS[attack], a
    if attack in ALL_FAULT:
        assert a["faulted"] == a["tried"], a
    felt_nothing(r, [attack])


REPORTS = {
    "memory": ["read of guest-physical 100000", "write to guest-physical 100000", "fetch from guest-physical 100000"],
    "port": ["IN 0", "OUT 0"],
    "MSR": ["RDMSR 0", "WRMSR 0"],
    "instruction": ["instruction, exit reason 1b", "instruction, exit reason 1a"],  # VMXON, VMXOFF
    "interrupt": ["interrupt command [0-9a-f]+"],
}


@pytest.mark.parametrize("name,what", pairs(BOTH, REPORTS))
def test_the_core_reports(request, runs, name, what):
    """The first four of a class by line, the last of these with a word about it; the others by the counter."""
    r = runs(request, name)
    said = r.lines("core", rf"hostile: forbidden {what}: (.*) at rip [0-9a-f]+(?:; further ones are only counted)?")
    assert len(said) == 4
    for report in REPORTS[what]:
        assert any(re.fullmatch(report, line) for line in said), said
    assert len(r.lines("core", rf"hostile: forbidden {what}: .*; further ones are only counted")) == 1


@pytest.mark.parametrize("name", [on(n) for n in BOTH])
def test_all_attacks_were_made(request, runs, name):
    r = runs(request, name)
    assert r.lines("hostile", r"ATTACK (\w+) tried=.*") == list(ATTACKS)
    result = r.figures(r"\[hostile\] RESULT hostile")
    assert result["attacks"] == len(ATTACKS) and result["breaches"] == result["broken"] == 0
    assert result["forbidden"] > 1_000_000
    r.line(r"\[core\] hostile: vCPU 0 stopped: by its own call, .*")


@pytest.mark.parametrize("name", [on(n) for n in [*BOTH, "hostile_fatal", "hostile_stop", "hostile_modes"]])
def test_the_neighbour_is_whole(request, runs, name):
    """A pattern in its memory, its text, its registers; no NMI and no interrupt that it did not ask for."""
    r = runs(request, name, WRAPPED)
    watch = r.figures(r"\[watch\] RESULT watch")
    assert watch["memory"] == watch["state"] == 1 and watch["strays"] == 0
    assert not r.lines("core", "watch: forbidden .*")


# Vectors of the snippets of guest/apps/hostile/instructions.asm; None: it runs, and does nothing to anybody.
UNDEFINED = """vmxon vmxoff vmlaunch vmresume vmread vmwrite vmread_memory vmclear vmptrld vmptrst invept invvpid vmfunc
vmcall_prefixed vmrun vmmcall vmload vmsave stgi clgi skinit invlpga rdpru getsec rsm encls enclu enclv pconfig seamcall
tdcall monitor mwait_interrupts_on mwait_deep umonitor umwait tpause syscall rdpkru wrpkru uiret clui stui senduipi
wrmsrns rdmsrlist wrmsrlist enqcmd enqcmds loadiwkey setssbsy ud0 ud1 ud2 lock_cpuid lock_vmcall""".split()
VECTORS = dict.fromkeys(UNDEFINED, 6) | {
    "rdpmc": 13, "xgetbv_high": 13, "lldt_bad": 13, "ltr_bad": 13, "iret_null_frame": 13, "noncanonical": 13,
    "single_step": 1, "single_step_cpuid": 1, "icebp": 1, "int3": 3, "divide_by_zero": 0,
    "invd": None, "wbinvd": None, "clts": None, "lmsw": None, "int_nmi": None, "split_lock": None,
}


@pytest.mark.parametrize("name", [on(n) for n in BOTH])
def test_instructions_do_what_they_do_without_vmx(request, runs, name):
    r = runs(request, name)
    got = dict(re.findall(r"(\w+)=(\d+|-)", " ".join(r.lines("hostile", r"hostile:((?: \w+=(?:\d+|-))+)"))))
    assert len(got) > 110
    assert {k: got.get(k) for k in VECTORS} == {k: "-" if v is None else str(v) for k, v in VECTORS.items()}


# ---- attacks that never end, or end their partition ----------------------------------------------------------------
OWN_CALL = r"vCPU 0 stopped: by its own call, with a code that is not 0, after \d+ exits, .*"
FATAL = {
    # partition: what the core says in the end; None: nothing, it goes on for ever
    "loop": None,           # interrupts off
    "hlt": None,
    "db": None,             # endless #DB, endless #AC: each delivery exits and begins anew
    "ac": None,
    "triple": r"vCPU 0 stopped: triple fault, .*",
    "cr3": r"vCPU 0 stopped: triple fault, .*",
    "init": OWN_CALL,
}
STOPPED = {
    "read": ("memory", r"read of guest-physical 10001000"),
    "msr": ("MSR", r"WRMSR 1b"),
    "port": ("port", r"OUT cf9"),
    "vmx": ("instruction", r"instruction, exit reason 1a"),
    "ipi": ("interrupt", r"interrupt command 100004400"),
}
MODES = {
    "modes": OWN_CALL,
    "task": r"vCPU 0 stopped: exit, .*",
    "wrap": r"vCPU 0 stopped: exit, .*",
    "edge": OWN_CALL,
    "idt": r"vCPU 0 stopped: triple fault, .*",
    "stack": OWN_CALL,
}
# A RIP of 33 bits in compatibility mode is what `wrap` is about: the entry fails, and the guest ends.
WRAPPED = (r"VMENTER FAIL: VMCS guest RIP > 32 bit", r"VMEXIT: Guest State Checks Failed")


def attacked(r, kind, end):
    r.line(rf"\[{kind}\] ATTACK {kind} begin")
    stopped = r.lines("core", rf"{kind}: (vCPU 0 stopped: .*)")
    assert len(stopped) == (end is not None), stopped
    if end:
        assert re.fullmatch(end, stopped[0])
    felt_nothing(r, ["attack"])


@pytest.mark.parametrize("name,kind", pairs(["hostile_fatal"], FATAL))
def test_fatal_attack(request, runs, name, kind):
    r = runs(request, name)
    attacked(r, kind, FATAL[kind])
    assert bool(r.lines(kind, f"ATTACK {kind} over")) == (kind == "init"), "the attack had no effect at all"


@pytest.mark.xdist_group("hostile_fatal")
def test_init_and_sipi_reach_nobody(request, runs):
    r = runs(request, "hostile_fatal")
    assert r.lines("init", r"hostile: ICR ([0-9a-f]+) gives 13") == ["4610", "84610", "84500", "4500"]
    assert len(r.lines("core", r"init: forbidden interrupt: interrupt command .*")) == 4


@pytest.mark.parametrize("name,kind", pairs(["hostile_stop"], STOPPED))
def test_policy_stop(request, runs, name, kind):
    r = runs(request, name)
    error, report = STOPPED[kind]
    attacked(r, kind, rf"vCPU 0 stopped: {error}, .*")
    assert len(r.lines("core", rf"{kind}: forbidden .*")) == 1
    r.line(rf"\[core\] {kind}: forbidden {error}: {report} at rip [0-9a-f]+")
    assert not r.lines(kind, "ATTACK .* over")


@pytest.mark.parametrize("name,kind,end", [on("hostile_stop", "storm", None), on("hostile_stop", "ud", OWN_CALL)])
def test_storm_and_accident(request, runs, name, kind, end):
    r = runs(request, name)
    attacked(r, kind, end)
    if kind == "ud":
        r.line(r"\[ud\] kit: exception 6 error 0 rip .*")
    else:
        assert len(r.lines("core", r"storm: forbidden port: IN 80 .*")) == 4


@pytest.mark.parametrize("name,kind", pairs(["hostile_modes"], MODES))
def test_states_that_cannot_be_entered(request, runs, name, kind):
    r = runs(request, name, WRAPPED)
    attacked(r, kind, MODES[kind])
    if kind == "modes":
        assert not r.lines("modes", "BREACH .*")
        assert r.figures(r"\[modes\] RESULT modes") == {"tried": 35, "wrong": 0}
    elif kind == "edge":
        assert r.figures(r"\[edge\] RESULT edge")["vector"] == 13
    elif kind == "stack":
        r.line(r"\[stack\] kit: exception 8 error 0 rip .*")
    elif kind == "task":
        r.line(r"\[core\] task: forbidden exit: VM exit, reason 9 at rip .*")
    elif kind == "wrap":
        r.line(r"\[core\] wrap: forbidden exit: guest state, qualification 0 at rip 100000000")
    elif kind == "idt":
        r.line(r"\[core\] idt: forbidden triple fault: third exception while #DF was delivered, vector d at rip .*")


@pytest.mark.xdist_group("hostile_halt")
def test_policy_halt_machine(request, runs):
    """The machine stops, with registers and VMCS; the neighbour stops too, which is what was asked for."""
    r = runs(request, "hostile_halt")
    r.line(r"core: PANIC on CPU 0: read: memory, and its configuration says: halt the machine")
    r.line(r"\[core\] read: forbidden memory: read of guest-physical 10001000 at rip [0-9a-f]+")
    r.line(r"core: partition read, vCPU 0, registers 0 to 15:")
    r.line(r"core:  (?: [0-9a-f]+){16}")
    r.line(r"core: current VMCS:")
    for field in ("EXIT_REASON 30", r"GUEST_RIP [0-9a-f]+", "GUEST_PHYSICAL_ADDRESS 10001000", "GUEST_CR4 [0-9a-f]+",
                  r"GUEST_RSP [0-9a-f]+", r"CTRL_PROC2 [0-9a-f]+", r"HOST_RIP ffffffff8[0-9a-f]{7}"):
        r.line(rf"core:   {field}")
    r.line(r"core: cr0 [0-9a-f]+ cr2 [0-9a-f]+ cr3 [0-9a-f]+ cr4 [0-9a-f]+")
    r.line("RESULT core panic")
    assert not r.lines("watch", "RESULT .*"), "the neighbour has gone on"


# ---- beside Linux --------------------------------------------------------------------------------------------------
@pytest.mark.xdist_group("hostile_linux")
def test_linux_goes_on_answering(machine, linux_kernel):
    m = image.boot(machine, "hostile_linux", cpus=2, quantum=16, memory=1024, com1="pty")
    m.wait_for(r"^\[linux\] linux# ", timeout=200, on="e9")

    def shell(number, expression):
        since = m.mark()
        m.send(f'echo "<<{number}:$({expression})>>"\r')
        return m.wait_for(rf"^\[linux\] <<{number}:(.*)>>", timeout=60, on="e9", since=since)[1]

    m.send("\x1dg\x1d")     # Ctrl-] gives the keyboard to the attacker, and back
    m.wait_for(r"^\[hostile\] ATTACK memory begin", timeout=60, on="e9")
    answers = during = 0
    while "RESULT hostile" not in m.e9:
        assert shell(answers, f"expr {answers} '*' 7") == str(answers * 7)
        answers += 1
        during += "RESULT hostile" not in m.e9
        time.sleep(1)
    assert during >= 3, "too few answers while the attacks lasted"
    found = m.wait_for(r"^\[hostile\] RESULT hostile attacks=(\d+) breaches=(\d+) broken=(\d+)", on="e9")
    assert [int(g) for g in found.groups()] == [len(ATTACKS), 0, 0]
    complaints = "dmesg | grep -cE 'WARNING|BUG|Oops|Call Trace|[Uu]nstable|lockup|stall|NMI received'"
    assert shell(1000, complaints) == "0"
    assert not re.search(r"^\[core\] linux: forbidden|PANIC", m.e9, re.MULTILINE)
