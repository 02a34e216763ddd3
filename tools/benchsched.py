# SPDX-License-Identifier: Apache-2.0
"""What scheduled CPUs cost: the part of tools/bench for timers, interrupts between CPUs, switches, companions and W (docs/figures.md)."""

import re

APICV, PLAIN = "tigerlake", "corei7_ivy_bridge_3770k"   # with posted interrupts, and without virtual-interrupt delivery
RT_TWICE = r"END rt(.|\n)*END rt"
LIMITS = {          # ticks: with APICv, without
    "timer_running": (280, 380),
    "timer_halted": (500, 500),
    "ipi": (250, 600),
}
W_LIMIT, COMPANION_LIMIT = 1500, 700

MACHINES = {        # name: (image, last line, seconds, options of the machine)
    "sched_w": ("bench_w", r"vCPU 0 stopped.*", 400, {}),
    "sched_apicv": ("bench_sched", RT_TWICE, 300, {"cpus": 3, "quantum": 1, "cpu": APICV}),
    "sched_plain": ("bench_sched", RT_TWICE, 300, {"cpus": 3, "quantum": 1, "cpu": PLAIN}),
    "ipi_apicv": ("bench_ipi", r"RESULT ipi .*", 120, {"cpus": 2, "quantum": 1, "cpu": APICV}),
    "ipi_plain": ("bench_ipi", r"RESULT ipi .*", 120, {"cpus": 2, "quantum": 1, "cpu": PLAIN}),
    "cost2": ("cost2", r"RESULT cost peer.*", 120, {"quantum": 1}),
    "cost32": ("cost32", r"RESULT cost peer.*", 200, {"quantum": 1}),
    "companion": ("companion", r"RESULT ticks(.|\n)*RESULT ticks", 200, {"cpus": 2, "quantum": 1}),
}
IMAGES = sorted({image for image, *_ in MACHINES.values()})


class Missing(Exception):
    """A line that a guest should have printed."""


def find(text, regex):
    m = re.search(regex, text)
    if not m:
        raise Missing(f"no line {regex}")
    return m


def medians(text, guest=r"\w+"):
    """The FIGURE lines of a guest: name to (minimum, median)."""
    found = re.findall(rf"^\[{guest}\] FIGURE (\w+) min=(\d+) (?:med|mean)=(\d+)", text, re.MULTILINE)
    return {name: (int(low), int(median)) for name, low, median in found}


def figures(f, text):
    for n, kind in enumerate(("apicv", "plain")):
        run = text[f"sched_{kind}"]
        for guest, name in (("spin", "timer_running"), ("halt", "timer_halted")):
            m = find(run, rf"\[{guest}\] RESULT rt periods=(\d+) missed=(\d+) .*min=\d+ med=(\d+) max=(\d+)")
            f.add(f"sched.{kind}.{name}_median", int(m[3]), "ticks", LIMITS[name][n])
            f.add(f"sched.{kind}.{name}_max", int(m[4]), "ticks")
            f.add(f"sched.{kind}.{name}_missed", int(m[2]), "count", 0)
        f.add(f"sched.{kind}.ipi_median", medians(text[f"ipi_{kind}"])["ipi"][1], "ticks", LIMITS["ipi"][n])
        exits = int(find(text[f"ipi_{kind}"], r"RESULT ipi n=1000 exits=(\d+)")[1])
        f.add(f"sched.{kind}.ipi_receiver_exits", exits, "per 1000")
    two, many = medians(text["cost2"]), medians(text["cost32"])
    for name in sorted(two):
        f.add(f"sched.cost.{name}.with_2", two[name][0], "ticks")
        f.add(f"sched.cost.{name}.with_32", many[name][0], "ticks", two[name][0] * 105 // 100)
    for guest in ("alone", "shared"):
        for name, (low, _) in sorted(medians(text["companion"], guest).items()):
            f.add(f"companion.{guest}.{name}", low, "ticks", COMPANION_LIMIT if name.startswith("in") else None)
    f.add("sched.w", int(find(text["sched_w"], r"\[core\] hostile: .*longest stay in root mode (\d+)")[1]), "ticks", W_LIMIT)
