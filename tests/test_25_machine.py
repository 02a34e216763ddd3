# SPDX-License-Identifier: Apache-2.0
"""Machines that cannot carry the image, and what the core makes of one that can: address spaces, panics, spare CPUs."""

import re

import pytest

import bochs
import image
from test_20_boot import refused

STOP = "this machine cannot carry Bulkhead: the lines above say what it lacks"
CANNOT_DO_WITHOUT = {"CPUID.1:ECX[5] VMX", "PIN PIN_NMI_EXITING", "PROC PROC_MSR_BITMAPS", "PROC2 PROC2_EPT",
                     "PROC2 PROC2_UNRESTRICTED_GUEST", "EXIT EXIT_LOAD_EFER", "ENTRY ENTRY_LOAD_EFER",
                     "EPT EPT_CAP_INVEPT"}


# ---- what the CPU lacks ---------------------------------------------------------------------------------------------

def missing(machine, exclude, name="hello", **options):
    """Boots on a CPU without these features, which must be refused; {CPU: what it lacks}."""
    m = image.boot(machine, name, exclude=exclude, **options)
    m.wait_for(rf"^core: STOP: {STOP}\r?\nRESULT core stop", timeout=80, on="e9")
    m.kill()
    assert "vCPU 0 starts" not in m.e9
    lacks = re.findall(r"^\[core\] CPU (\d+) lacks, and must have: (.*?)\r?$", m.e9, re.MULTILINE)
    return {cpu: {what for n, what in lacks if n == cpu} for cpu, _ in lacks}


@pytest.mark.time_limit(100)
def test_no_vmx(machine):
    lacks = missing(machine, "vmx")
    assert set(lacks) == {"0"}
    assert CANNOT_DO_WITHOUT <= lacks["0"] and not any("x2APIC" in w for w in lacks["0"]), "VMX, and what comes with it"


@pytest.mark.time_limit(150)
def test_several_features_on_two_cpus(machine):
    """Every miss of every CPU before the stop."""
    expected = {"CPUID.1:ECX[24] TSC-deadline timer", "CPUID.1:EDX[12] MTRR", "CPUID.7:EBX[7] SMEP"}
    assert missing(machine, "tsc_deadline,mtrr,smep", "boot_two", cpus=2) == {"0": expected, "1": expected}


@pytest.mark.time_limit(100)
def test_everything_at_once(machine):
    """Without x2APIC no other CPU can be asked; this one's list is complete all the same."""
    lacks = missing(machine, "x2apic,vmx,tsc_deadline,smep")
    assert set(lacks) == {"0"}
    assert CANNOT_DO_WITHOUT | {"CPUID.1:ECX[24] TSC-deadline timer", "CPUID.7:EBX[7] SMEP"} <= lacks["0"]
    assert any(w.startswith("CPUID.1:ECX[21] x2APIC") for w in lacks["0"])


@pytest.mark.time_limit(100)
def test_no_execute_disable(machine):
    """The loader's own need: the core's tables have the bit."""
    assert refused(machine, "boot", exclude="nx").startswith("the CPU has no execute-disable (CPUID.80000001h:EDX[20])")


@pytest.mark.time_limit(100)
def test_nice_to_have_is_not_fatal(machine):
    m = image.boot(machine, "hello", exclude="smap,1g_pages,invpcid")
    m.wait_for(r"^\[hello\] RESULT hello", timeout=80, on="e9")
    assert "not here, would be better: CPUID.7:EBX[20] SMAP" in m.e9
    assert "not here, would be better: EPT EPT_CAP_1G_PAGES" in m.e9
    assert "lacks, and must have" not in m.e9


# ---- CPUs and memory ------------------------------------------------------------------------------------------------

@pytest.mark.time_limit(100)
def test_too_few_cpus(machine):
    assert refused(machine, "core", "boot_two").startswith("the configuration needs 2 CPUs, the machine has 1: ")


@pytest.mark.time_limit(120)
def test_hyper_threads_of_two_partitions(machine):
    message = refused(machine, "core", "boot_two", timeout=100, cpus="1:1:2")
    assert message.startswith("CPUs 0 and 1 are threads of one core and belong to left and right: ")


@pytest.mark.time_limit(150)
@pytest.mark.parametrize("cpus", ["1:2:1", "2:1:1"])
def test_cores_of_two_partitions(machine, cpus):
    """Cores of one package, or two packages: no threads, nothing to refuse."""
    m = image.boot(machine, "boot_two", cpus=cpus)
    for name in "left", "right":
        m.wait_for(rf"^\[{name}\] RESULT hello", timeout=100, on="e9")


@pytest.mark.time_limit(150)
def test_spare_thread_is_parked(machine):
    """One partition on one thread: its sibling, which the configuration does not know, must not run."""
    m = image.boot(machine, "hello", cpus="1:1:2")
    m.wait_for(r"^\[hello\] RESULT hello", timeout=100, on="e9")
    m.kill()
    assert "[core] 2 CPUs, of which 1 are used" in m.e9
    assert last_ipis(m.log)["1"] == "INIT"


def last_ipis(log):
    """By CPU: the last INIT or start-up IPI that reached it. After INIT it waits for SIPI."""
    return dict(re.findall(r"\[APIC(\d+) *\] Deliver (INIT|Start Up) IPI", log))


@pytest.mark.time_limit(200)
def test_spare_cpus_are_parked(machine):
    """Bochs tells what reached them; the state itself is the CPU's own (mechanism seen)."""
    m = image.boot(machine, "boot_two", cpus=4)
    for name in "left", "right":
        m.wait_for(rf"^\[{name}\] RESULT hello", timeout=150, on="e9")
    m.kill()
    assert "[core] 4 CPUs, of which 2 are used" in m.e9
    assert last_ipis(m.log) == {"1": "Start Up", "2": "INIT", "3": "INIT"}


@pytest.mark.time_limit(100)
def test_too_little_memory(machine):
    message = refused(machine, "boot", "bad_memory")
    found = re.match(r"too little memory: memory big needs (\d+) KiB, .*; the largest free run there has (\d+) KiB; ",
                     message)
    assert int(found[1]) == 600 * 1024
    assert 256 * 1024 < int(found[2]) < 512 * 1024


@pytest.mark.time_limit(100)
def test_enough_memory(machine):
    """The same image where there is room."""
    m = image.boot(machine, "bad_memory", memory=1024)
    m.wait_for(r"^\[big\] RESULT hello", timeout=90, on="e9")


@pytest.mark.time_limit(100)
def test_fixed_address_is_not_ram(machine):
    message = refused(machine, "boot", "bad_base")
    assert message.startswith("memory misplaced: the 1024 KiB at 0xfee00000 that the configuration asks for "
                              "are not free (")


# ---- the core's address spaces --------------------------------------------------------------------------------------

PERCPU, WINDOW_PD = 0xFFFFFFFF90000000, 0xFFFFFFFF901F0000
PRESENT, WRITABLE, USER, LARGE, NX = 1, 2, 4, 0x80, 1 << 63
STACKS = [(0x1000, 0x3000), (0x4000, 0x5000), (0x6000, 0x7000), (0x8000, 0x9000)]
DATA = 0xA000


def pages(start, end):
    return range(start, end, 4096)


def expected_space(s, cpu):
    """What CPU `cpu` should map: linear page to rights, by the symbols of the core."""
    space = {}
    space.update((p, "rx") for p in pages(s["core_start"], s["text_end"]))
    space.update((p, "r") for p in pages(s["text_end"], s["rodata_end"]))
    space.update((p, "rw") for p in pages(s["rodata_end"], s["data_end"]))
    if cpu == 0:
        space.update((p, "rw") for p in pages(s["data_end"], s["ept_end"]))
    for start, end in [*STACKS, (DATA, DATA + s["percpu_data_size"])]:
        space.update((PERCPU + p, "rw") for p in pages(start, end))
    space[WINDOW_PD] = "rw"
    return space


def debugger_commands(s):
    """Stop each CPU where it is about to enter its partition; there, dump both spaces."""
    dump = []
    for cpu in 0, 1:
        dump += [f"set $cpu={cpu}", "creg", "info tab"] + [f"page {p:#x}" for p in expected_space(s, cpu)]
    return "\n".join([f"lb {s['vcpu_run']:#x}", "c", *dump, "c", *dump, "q"]) + "\n"


def rights(entries):
    """What the entries of all levels allow together."""
    assert all(e & PRESENT for e in entries) and not entries[-2] & LARGE
    assert not all(e & USER for e in entries), "reachable from user mode"
    return "r" + "w" * all(e & WRITABLE for e in entries) + "x" * (not any(e & NX for e in entries))


def read_space(text):
    """(ranges that are mapped, {linear page: (rights, physical page)}, control registers) of one CPU's dump."""
    lines = re.findall(r"^0x(\w+)-0x(\w+) -> 0x\w+-0x\w+$", text, re.MULTILINE)
    ranges = [(int(start, 16), int(end, 16)) for start, end in lines]
    walks = re.findall(r"((?:^ *P\w+: 0x\w+ : 0x\w+ .*\n)+)^linear page 0x(\w+) maps to physical page 0x(\w+)$",
                       text, re.MULTILINE)
    found = {int(linear, 16): (rights([int(e, 16) for e in re.findall(r" : 0x(\w+)", levels)]), int(physical, 16))
             for levels, linear, physical in walks}
    return ranges, found, dict(re.findall(r"^(CR0|CR4|EFER)=0x\w+: (.*)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def spaces(tmp_path_factory):
    """[(mapped ranges, pages, control registers)] of the two CPUs of boot_two, each just before its entry."""
    directory = tmp_path_factory.mktemp("spaces")
    s = image.symbols("boot_two")
    (directory / "rc").write_text(debugger_commands(s))
    with bochs.Machine(efi=image.path("boot_two"), files=image.payloads("boot_two"), cpus=2, timeout=200,
                       debugger_rc=str(directory / "rc"), workdir=str(directory / "run")) as m:
        m.wait_end()
        text = m.e9.replace("\r", "")
    stops = re.split(r"^(?=\(\d\) Breakpoint \d+)", text, flags=re.MULTILINE)[1:]
    assert len(stops) == 2, text[-2000:]
    result = {}
    for stop in stops:
        cpu = int(stop[1])
        assert re.search(rf"^\({cpu}\) \[0x\w+\] 0008:{s['vcpu_run']:x} ", stop, re.MULTILINE), "it stopped elsewhere"
        dumps = re.split(r"^Switching to CPU(\d)$", stop, flags=re.MULTILINE)
        result[cpu] = read_space(dict(zip(dumps[1::2], dumps[2::2]))[str(cpu)])
    return s, [result[0], result[1]]


@pytest.mark.time_limit(240)
def test_every_page_has_its_rights(spaces):
    """Text read and execute, constants read, the rest read and write: no page both writable and executable."""
    s, cpus = spaces
    for cpu, (_, found, _) in enumerate(cpus):
        assert {p: r for p, (r, _) in found.items()} == expected_space(s, cpu)
        assert {r for r, _ in found.values()} == {"rx", "r", "rw"}


def test_nothing_else_is_mapped(spaces):
    """No lower half, so nothing of the firmware, no device and no partition; no guard page; no foreign page table."""
    s, cpus = spaces
    for cpu, (ranges, _, _) in enumerate(cpus):
        mapped = {p for start, end in ranges for p in pages(start, end)}
        assert mapped == set(expected_space(s, cpu))
        assert min(mapped) == image.CORE_BASE
        assert not mapped & {PERCPU + guard for guard in (0, 0x3000, 0x5000, 0x7000, 0x9000)}


def test_own_block_is_nobody_elses(spaces):
    """The two CPUs share text, constants and data, and no other frame."""
    s, cpus = spaces
    (_, first, _), (_, second, _) = cpus
    shared = set(pages(s["core_start"], s["data_end"]))
    assert all(first[p] == second[p] for p in shared)
    own = [{frame for p, (_, frame) in space.items() if p not in shared} for space in (first, second)]
    common = {first[p][1] for p in shared}
    assert not own[0] & own[1] and not own[0] & common and not own[1] & common


def test_protection_is_on(spaces):
    """WP, NX, SMEP, SMAP: without them the rights above would mean nothing."""
    for _, _, registers in spaces[1]:
        assert {"WP", "PG"} <= set(registers["CR0"].split())
        assert {"SMEP", "SMAP", "MCE"} <= set(registers["CR4"].split())
        assert {"NXE", "LMA"} <= set(registers["EFER"].split())


# ---- the core's own faults ------------------------------------------------------------------------------------------

UD2 = bytes.fromhex("0f0b")
PUSH_FOR_EVER = bytes.fromhex("50ebfd")         # push rax; jmp to it
VMCS_FIELDS = ["EXIT_REASON", "EXIT_QUALIFICATION", "GUEST_RIP", "GUEST_CR0", "CTRL_EPTP", "HOST_RIP"]


def panic(machine, tmp_path, name, where, code, **options):
    """Boots the configuration with that code at a function of the core's, until the core has panicked."""
    efi = image.patched(name, tmp_path / "faulty.efi", image.symbols(name)[where], code)
    m = image.boot(machine, name, efi=efi, **options)
    m.wait_for(r"^RESULT core panic", timeout=120, on="e9")
    return m


@pytest.mark.time_limit(100)
def test_exception_in_root_mode(machine, tmp_path):
    m = panic(machine, tmp_path, "hello", "exit_cpuid", UD2)
    m.kill()
    where = image.symbols("hello")["exit_cpuid"]
    assert f"core: PANIC on CPU 0: exception 6, error 0, at 8:{where:x}" in m.e9
    registers = re.findall(r"\b(r\w+|cr\d) ([0-9a-f]+)", m.e9[m.e9.index("PANIC"):])
    assert {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "rflags",
            "cr0", "cr2", "cr3", "cr4"} <= {name for name, _ in registers}
    fields = dict(re.findall(r"^core: +([A-Z_0-9]+) ([0-9a-f]+)\r?$", m.e9, re.MULTILINE))
    assert set(VMCS_FIELDS) <= set(fields)
    assert fields["EXIT_REASON"] == "a" and int(fields["HOST_RIP"], 16) == image.symbols("hello")["vmx_exit_entry"]
    assert "core: partition hello, vCPU 0" in m.e9


@pytest.mark.time_limit(100)
def test_stack_overflow(machine, tmp_path):
    """Into the guard page: no page fault can be delivered there, so it is a double fault, on its own stack."""
    m = panic(machine, tmp_path, "hello", "exit_cpuid", PUSH_FOR_EVER)
    m.kill()
    assert "core: PANIC on CPU 0: exception 8, error 0" in m.e9
    assert re.search(rf"rsp {PERCPU + 0x1000:x}\b", m.e9), "the stack ends there"
    assert re.search(rf"cr2 {PERCPU + 0xff8:x}\b", m.e9), "the guard page"


RUNS = r"^\[forever\] rt: periods"


@pytest.mark.time_limit(200)
def test_panic_stops_the_other_cpu(machine, tmp_path):
    """A partition that has run for ten seconds on the other CPU writes nothing after the panic."""
    m = panic(machine, tmp_path, "boot_panic", "vcpu_stop", UD2, cpus=2)
    assert "core: PANIC on CPU 1: exception 6" in m.e9
    assert len(re.findall(RUNS, m.e9, re.MULTILINE)) >= 5, "it did not run"
    with pytest.raises(bochs.BochsTimeout):
        m.wait_for(r"^\[forever\]", timeout=5, on="e9", since=m.mark())


@pytest.mark.time_limit(200)
def test_without_the_panic_it_goes_on(machine):
    """The other half of the test above: within its five seconds there are lines when the neighbour ends in peace."""
    m = image.boot(machine, "boot_panic", cpus=2)
    m.wait_for(r"ending: vCPU 0 stopped: by its own call", timeout=150, on="e9")
    m.wait_for(RUNS, timeout=5, on="e9", since=m.mark())
