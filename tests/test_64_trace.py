# SPDX-License-Identifier: Apache-2.0
"""The trace: what the core writes is what the plan says; partitions may read it and no more; tools/trace makes sense of it."""
import json
import os
import re
import subprocess

import pytest

import bochs
import image
import tracefile
from conftest import TOP
from test_25_machine import read_space

SPINNER = 2             # partition of tests/system/trace.yaml, and number of its window
BH_EINVAL = -3


@pytest.fixture(scope="module")
def printed():
    """What a run of tests/system/trace.yaml printed: one machine for all tests about it."""
    return {}


@pytest.fixture
def text(machine, printed):
    if "text" not in printed:
        m = image.boot(machine, "trace", cpus=2, overrides=["cpu: ignore_bad_msrs=0"])
        m.wait_for(r"^\[reader\] TRACE done", timeout=120, on="e9")
        printed["text"] = m.e9
    return printed["text"]


@pytest.fixture
def plan():
    return tracefile.Plan.read(image.path("trace", "config.c"))


@pytest.fixture
def rings(text):
    return tracefile.parse(text)


@pytest.mark.time_limit(150)
def test_windows_begin_as_planned(rings, plan):
    """Each record of a window leads back to its plan to the tick; none is left out; the owner is the plan's."""
    ring = rings[0]
    frame, windows = plan.frames[0, 0]
    begun = [r for r in ring.records if r.type == tracefile.WINDOW]
    assert len(begun) > 5 * len(windows)
    for r in begun:
        planned = (r.tsc - r.argument - ring.epoch) % (frame * ring.khz // 1000)
        assert planned == windows[r.detail].start * ring.khz // 1000
        assert r.who >> 8 == windows[r.detail].partition
    assert [r.detail for r in begun] == [(begun[0].detail + n) % len(windows) for n in range(len(begun))]


def test_a_spinner_has_its_windows_and_nothing_else(rings, plan):
    """From the first instruction to the last: the window's whole length, once a frame, and no time beside it."""
    ring = rings[0]
    windows = [w for w in ring.windows(plan) if w.index == SPINNER and w.used is not None]
    runs = [r for r in ring.runs() if r.who >> 8 == SPINNER]
    assert len(windows) > 10
    assert all(w.used == w.length for w in windows)
    slack = ring.guard + 400        # the switch away, and what its window holds for the switch to it
    assert all(any(w.start <= r.start and r.end <= w.start + w.length + slack for w in windows) for r in runs[1:-1])


def test_time_adds_up(rings):
    for ring in rings:
        runs, exits = ring.runs(), [r for r in ring.records if r.type == tracefile.EXIT]
        assert all(a.tsc <= b.tsc for a, b in zip(ring.records, ring.records[1:]))
        assert all(a.end == b.start for a, b in zip(runs, runs[1:]))
        assert sum(r.end - r.start for r in runs) == ring.records[-1].tsc - ring.records[0].tsc
        # Between the end of one stay in root mode and the begin of the next a guest ran.
        assert all(a.tsc < b.tsc - b.argument for a, b in zip(exits, exits[1:]))
        for n, (count, ticks, longest) in ring.reasons.items():
            seen = [r.argument for r in exits if r.detail == n]
            assert len(seen) <= count and sum(seen) <= ticks and max(seen, default=0) <= longest
        assert sum(count for count, _, _ in ring.reasons.values()) <= ring.head
        assert sum(ring.buckets.values()) == ring.late["windows"]


def test_dedicated_cpu(rings):
    ring = rings[1]
    assert (ring.cpu, ring.shared, ring.epoch) == (1, 0, 0)
    assert {r.who for r in ring.records} == {5 << 8}
    assert {r.type for r in ring.records} <= {tracefile.EXIT, tracefile.SWITCH}


def test_counters(text, rings):
    """The reader's own, read after it has printed: later than the accounts in the ring."""
    counters = tracefile.numbers(re.search(r"TRACE counters (.*)", text)[1])
    ring = rings[0]
    assert counters["windows"] >= ring.late["windows"] > 0
    assert counters["idle"] >= ring.idle > 0
    assert counters["cut"] >= ring.cut and counters["lost"] >= ring.lost
    assert 0 < counters["late"] < ring.khz      # the decision's own delay
    # Its windows are 150 us of each 1000, and end as late as what delays a decision: its own console output, say.
    assert 0 < counters["used"] <= counters["windows"] / 5 * (150 * ring.khz / 1000 + ring.guard)
    assert counters["smis"] == BH_EINVAL      # this machine has no such MSR: a #GP in root mode while probing for it, survived


def test_only_the_core_writes(text):
    """The intruder has the same right as the reader, and no other."""
    assert re.search(r"^\[core\] intruder: forbidden memory: write to guest-physical d0000\w+ ", text, re.MULTILINE)
    assert re.search(r"^\[core\] intruder: vCPU 0 stopped", text, re.MULTILINE)
    assert "TRACE written" not in text


def tool(*arguments, **options):
    return subprocess.run([os.path.join(TOP, "tools", "trace"), *arguments], capture_output=True, text=True, check=False, **options)


def test_table(text, plan, tmp_path):
    (tmp_path / "e9.txt").write_text(text)
    run = tool(str(tmp_path / "e9.txt"), "--config", image.path("trace", "config.c"))
    assert run.returncode == 0, run.stderr
    for n, w in enumerate(plan.frames[0, 0][1]):
        assert re.search(rf"^  {n} {plan.names[w.partition]} +{w.start} +{w.length} ", run.stdout, re.MULTILINE)
    assert re.search(r"^  2 spinner .* 150\.0/150\.0  100\.00 %$", run.stdout, re.MULTILINE)
    assert re.search(r"^  idle +\d+\.\d +(\d\d)\.\d\d %", run.stdout, re.MULTILINE)
    assert re.search(r"^  preemption_timer +\d+ ", run.stdout, re.MULTILINE)
    assert re.search(r"^  since the start: \d+ windows, late by \d+ to \d+ ticks.*guard 1000 \(50\.0 us\)", run.stdout, re.MULTILINE)


def check_nesting(slices):
    """Perfetto's rule: of two slices of a track one holds the other, or they do not touch."""
    open_ = []
    for s in sorted(slices, key=lambda s: (s["ts"], -s["dur"])):
        assert s["dur"] >= 0
        while open_ and open_[-1] <= s["ts"] + 1e-6:
            open_.pop()
        assert not open_ or s["ts"] + s["dur"] <= open_[-1] + 1e-3, s
        open_.append(s["ts"] + s["dur"])


def test_json(text, tmp_path):
    (tmp_path / "e9.txt").write_text(text)
    run = tool(str(tmp_path / "e9.txt"), "--config", image.path("trace", "config.c"), "--json", str(tmp_path / "t.json"))
    assert run.returncode == 0, run.stderr
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    tracks = {}
    for e in events:
        assert e["ph"] in "MXi" and isinstance(e["pid"], int) and isinstance(e["name"], str)
        if e["ph"] != "M":
            assert e["ts"] >= 0 and isinstance(e["tid"], int)
            tracks.setdefault((e["pid"], e["tid"]), []).append(e)
    named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and "tid" in e}
    assert set(tracks) <= named
    for track in tracks.values():
        check_nesting([e for e in track if e["ph"] == "X"])
    cpu = [e["name"] for e in tracks[tracefile.CPU_TRACKS, 0]]
    assert {"spinner", "loop", "idle", "wrmsr", "hlt", "preemption_timer"} <= set(cpu)
    assert sum(name == "spinner" for name in cpu) > 10
    assert any(e["name"].startswith("spinner, window 2") for e in tracks[tracefile.WINDOW_TRACKS, 0])
    assert any(e["ph"] == "i" and e["name"].startswith("interrupt 0x40") for e in tracks[tracefile.PARTITION_TRACKS, 0])


CORE_MEMORY = 0xffffffff90200000
PART = 4096 + 4096 * 16         # of a CPU: header and 4096 records


@pytest.mark.time_limit(120)
def test_each_cpu_sees_its_own_part(tmp_path):
    """In each CPU's address space: its part of the memory, to read and write, and nothing beside it."""
    pages = range(CORE_MEMORY - 4096, CORE_MEMORY + PART + 4096, 4096)
    dump = [f"set $cpu={cpu}\n" + "\n".join(f"page {p:#x}" for p in pages) for cpu in (0, 1)]
    (tmp_path / "rc").write_text("\n".join([f"lb {image.symbols('trace')['vmx_launch']:#x}", "c", *dump, "q"]) + "\n")
    with bochs.Machine(efi=image.path("trace"), files=image.payloads("trace"), cpus=2, timeout=100,
                       debugger_rc=str(tmp_path / "rc"), workdir=str(tmp_path / "run")) as m:
        m.wait_end()
        dumps = re.split(r"^Switching to CPU(\d)$", m.e9.replace("\r", ""), flags=re.MULTILINE)
    found = {int(cpu): read_space(dump)[1] for cpu, dump in zip(dumps[1::2], dumps[2::2])}
    assert set(found) == {0, 1}
    for cpu, space in found.items():
        assert set(space) == set(range(CORE_MEMORY, CORE_MEMORY + PART, 4096))
        assert all(space[p] == ("rw", found[0][CORE_MEMORY][1] + cpu * PART + p - CORE_MEMORY) for p in space)


# ---- the tool alone: no machine ------------------------------------------------------------------------------------

def records(*fields):
    """Lines of a trace of one CPU with these records: (tsc, type, detail, who, argument)."""
    last, pieces = 0, []
    for r in fields:
        pieces.append(" " + ".".join(f"{field:x}" for field in (r[0] - last, *r[1:])))
        last = r[0]
    total = sum(field & 0xffffffff for r in fields for field in r) & 0xffffffff
    return ("[a] TRACE begin a\n[a] TRACE ring cpu=0 entries=64 shared=1 khz=1000 epoch=0 guard=20 head=9 first=0 idle=0 cut=0 lost=0 "
            "overrun=0 schedule=0\n[a] TRACE late cpu=0 windows=1 min=5 max=5 sum=5 shift=0\n[a] TRACE bucket 0 5:1\n"
            f"[a] TRACE r 0{''.join(pieces)}\n[a] TRACE end cpu=0 records={len(fields)} sum={total}\n[a] TRACE done\n")


SHORT = records((1000, 1, 0, 0xffff, 0), (1105, 2, 1, 0xffff, 5), (1105, 3, 0, 0x100, 5), (1105, 1, 0, 0x100, 0),
                (1150, 2, 10, 0x100, 20), (1200, 2, 52, 0x100, 10), (1200, 1, 0, 0xffff, 0), (1300, 2, 1, 0xffff, 1))


def test_small_trace():
    ring = tracefile.parse("noise\n" + SHORT + "noise\n")[0]
    assert ring.runs() == [(1000, 1105, 0xffff), (1105, 1200, 0x100), (1200, 1300, 0xffff)]
    events = tracefile.chrome([ring], tracefile.Plan())["traceEvents"]
    cpu = sorted((e["ts"], e["dur"], e["name"]) for e in events if e["ph"] == "X" and e["pid"] == tracefile.CPU_TRACKS)
    assert cpu == [(0, 105, "idle"), (100, 5, "external_interrupt"), (105, 95, "partition 1"), (130, 20, "cpuid"),
                   (190, 10, "preemption_timer"), (200, 100, "idle"), (299, 1, "external_interrupt")]
    assert re.search(r"^  partition 1 +95\.0 +31\.67 % +1$", tracefile.table([ring], tracefile.Plan()), re.MULTILINE)


@pytest.mark.parametrize("old,new,cause", [
    ("[a] TRACE done\n", "", "no whole trace"),
    ("[a] TRACE begin a\n", "", "no whole trace"),
    (".14 ", ".15 ", "damaged"),
    ("records=8", "records=9", "damaged"),
])
def test_damaged_text_is_refused(old, new, cause, tmp_path):
    assert SHORT.count(old) == 1
    (tmp_path / "e9.txt").write_text(SHORT.replace(old, new))
    run = tool(str(tmp_path / "e9.txt"))
    assert run.returncode == 1 and cause in run.stderr and "Traceback" not in run.stderr


def test_the_last_trace_counts():
    assert tracefile.parse(SHORT + SHORT.replace("epoch=0", "epoch=7"))[0].epoch == 7
