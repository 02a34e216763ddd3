# SPDX-License-Identifier: Apache-2.0
"""What paths through the core are made of: the part of tools/bench that counts instructions in the emulator's traces (docs/figures.md).

A guest marks the begin and the end of a path (mark() of guest/kit/cpu.h); between the marks the emulator's debugger lists every instruction,
and those in root mode are counted. A vector is how many there are, and how many of them are of each dear kind.
"""

import os
import re
import subprocess

import bochs

CORE_BASE = 0xffffffff80000000
STEP = re.compile(r"^\((\d)\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]{16}) \(.*?\): ([^;\n]*)", re.MULTILINE)
KINDS = {           # what is counted, and which instructions
    "instructions": r".",
    "vmreads": r"vmread\b",
    "vmwrites": r"vmwrite\b",
    "msr_accesses": r"(rdmsr|wrmsr)",
    "locked": r"lock\b|xchg .*\[",
}
# Counts in the VMCS of MSRs that entries and exits load and store.
AUTOLOAD = ("vmexit_msr_store_cnt", "vmexit_msr_load_cnt", "vmentry_msr_load_cnt")
SHOW = 'show "cpu0.VMX"\n'
APICV, PLAIN = "tigerlake", "corei7_ivy_bridge_3770k"
SWITCH_LIMIT, W_LIMIT = 350, 1500
DECISIONS = 40      # that are traced: at least one whole frame of cost2.yaml
SWITCH_STEPS = 900  # instructions from a decision: to behind the entry; with the fill of the L1D by software it ends in the middle


def on(*cpus):
    return "".join(f"set $cpu={n}\ntrace on\n" for n in cpus)


def off(*cpus):
    return "".join(f"set $cpu={n}\ntrace off\n" for n in cpus)


INTERRUPTS = "c\n" + SHOW + (on(0) + "c\n" + off(0) + "c\n") * 2 + on(0, 1) + "c\n" + off(0, 1) + "q\n"
PORTS = ("c\n" + SHOW + on(0, 1) + "c\n" + off(0, 1)) * 2 + "q\n"


def symbols(image):
    """Of the core of build/IMAGE: name to address."""
    elf = os.path.join(os.path.dirname(bochs.TOOLS), "build", image, "core.elf")
    lines = subprocess.run(["nm", elf], capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: int(address, 16) for address, _, name in (line.split() for line in lines)}


def switches(image):
    """A console hypercall of 12 bytes; then, at each decision, so many instructions."""
    steps = f"trace on\ns {SWITCH_STEPS}\ntrace off\nc\n"
    return f"c\n{SHOW}trace on\nc\ntrace off\nlb {symbols(image)['sched_decide']:#x}\nc\n" + steps * DECISIONS + "q\n"


RUNS = {            # name: (image, options of the machine, what the debugger is told)
    "vectors_apicv": ("vectors", {"cpus": 2, "cpu": APICV}, lambda image: INTERRUPTS),
    "vectors_plain": ("vectors", {"cpus": 2, "cpu": PLAIN}, lambda image: INTERRUPTS),
    "vectors_switch": ("cost2", {"cpu": APICV}, switches),
    "vectors_flush": ("cost2_flush", {"cpu": APICV}, switches),
    "vectors_port": ("companion", {"cpus": 2}, lambda image: PORTS),
}
IMAGES = sorted({image for image, _, _ in RUNS.values()})


class Unclear(Exception):
    """A trace is not what it should be."""


def need(found, what):
    if not found:
        raise Unclear(what)
    return found


def steps(text):
    return [(int(cpu), int(rip, 16), what.strip()) for cpu, rip, what in STEP.findall(text)]


def add_vector(f, name, path, autoload, limits=None):
    """`path`: what the instructions in root mode are."""
    for kind, pattern in KINDS.items():
        f.add(f"{name}.{kind}", sum(1 for what in path if re.match(pattern, what)), "count", (limits or {}).get(kind))
    f.add(f"{name}.autoload", autoload, "count", (limits or {}).get("autoload"))


def autoload(text):
    fields = {name: need(re.search(rf"{name} = (\w+)", text), f"no {name} in the debugger's VMCS") for name in AUTOLOAD}
    return sum(int(field[1], 0) for field in fields.values())


def pieces(text):
    """What lies between one `trace on` and its end."""
    return re.split(r"Tracing disabled for CPU\d", text)


def root(piece, cpu):
    return [what for n, rip, what in steps(piece) if n == cpu and rip >= CORE_BASE]


def interrupt_figures(f, kind, text):
    cut = [p for p in pieces(text) if STEP.search(p)]
    need(len(cut) >= 3, f"the trace of interrupts has {len(cut)} pieces")
    for name, piece in zip(("timer_running", "timer_halted"), cut):
        path = root(piece, 0)
        if name == "timer_halted":      # from the wake on: the exit of HLT was before
            path = path[next(i for i, what in enumerate(path) if what.startswith("vmresume")) + 1:]
        add_vector(f, f"vector.{kind}.{name}", path, autoload(text))
    for name, cpu in (("sender", 0), ("receiver", 1)):
        add_vector(f, f"vector.{kind}.ipi_{name}", root(cut[2], cpu), autoload(text))


def switch_paths(text, image):
    """From the decision, made, to the entry of another vCPU."""
    decide = symbols(image)["sched_decide"]
    found, path, depth = [], None, 0
    for _, rip, what in steps(text):
        if rip == decide:
            path, depth = None, 1
        elif depth:
            depth += what.startswith("call") - what.startswith("ret")
            path = None if depth else []
        elif path is not None and rip >= CORE_BASE:
            path.append((rip, what))
            if what.startswith("vmresume"):
                if any(w.startswith("vmptrld") for _, w in path):
                    found.append(path)
                path = None
    return need(found, f"no switch in the trace of {image}")


def switch_figures(f, text):
    write = root(pieces(text["vectors_switch"])[0], 0)
    need([n for n, what in enumerate(write) if what.startswith("vmresume")] == [len(write) - 1], "a console hypercall is not one VM exit and one VM entry")
    add_vector(f, "vector.console_write", write, autoload(text["vectors_switch"]), {"instructions": W_LIMIT})
    longest = max(switch_paths(text["vectors_switch"], "cost2"), key=len)
    add_vector(f, "vector.switch", [what for _, what in longest], autoload(text["vectors_switch"]), {"instructions": SWITCH_LIMIT})
    begin = symbols("cost2_flush")["flush_for_next_partition"]
    for path in switch_paths(text["vectors_flush"], "cost2_flush"):
        flush = [what for rip, what in path if begin <= rip < begin + 0x200]
        if sum(what.startswith("wrmsr") for what in flush) == 2:
            break
    else:
        raise Unclear("no switch in the trace flushes all")
    # In the order of vmx/flush.c; each ends with what it is.
    for name, end in (("branch_predictors", r"wrmsr"), ("return_stack", r"add rsp"), ("buffers", r"verw"), ("l1d", r"wrmsr")):
        n = next((i for i, what in enumerate(flush) if re.match(end, what)), None)
        need(n is not None, f"no {end} in the flush")
        f.add(f"switch.flush.{name}.instructions", n + 1, "count")
        f.add(f"switch.flush.{name}.msr_writes", sum(what.startswith("wrmsr") for what in flush[:n + 1]), "count")
        flush = flush[n + 1:]


def port_figures(f, text):
    for piece in pieces(text):
        for cpu, name in ((0, "alone"), (1, "shared")):
            guest = [what for n, rip, what in steps(piece) if n == cpu and rip < CORE_BASE]
            if any(what.startswith("xchg bx, bx") for what in guest):
                add_vector(f, f"vector.companion.{name}.in", root(piece, cpu), autoload(text))


def figures(f, text):
    interrupt_figures(f, "apicv", text["vectors_apicv"])
    interrupt_figures(f, "plain", text["vectors_plain"])
    switch_figures(f, text)
    port_figures(f, text["vectors_port"])
