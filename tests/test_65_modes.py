# SPDX-License-Identifier: Apache-2.0
"""Operating modes: schedules are switched at one instant on all shared CPUs, by those who may, and nobody feels it otherwise."""
import re

import pytest

import image

MISSED = r"^\[loop\] rt: periods \d+ missed [1-9]"
# A window begins within G = W + S of its plan: 1,860 ticks (docs/figures.md). A guest sees no more of it than from its first look to its last.
GUARD_US = 93
START_US = 1_100_000    # after the loader: all have started
LOOK_US = 10            # and its two looks may be so much farther apart than the plan
# Of tests/system/modes.yaml, in us: frame; start and length of the window in each of the two schedules.
FRAME = (10000, 4000)
WINDOWS = {"storm": ((1300, 500), (300, 400)), "member": ((4300, 600), (1300, 300)), "witness": ((5000, 2000), (1000, 1000))}
BUSY = ((5200, 2000),) * 2      # of tests/system/early.yaml: one schedule


def fields(line):
    return {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)", line)}


def records(text, name, kind):
    return [fields(line) for line in re.findall(rf"^\[{name}\] {kind} {name} (.*)$", text, re.MULTILINE)]


def boundaries(windows, us, plan):
    """For each window, of which schedule it is, by its length, and when the frame began, in us, if it came on time."""
    found = []
    for w in windows[:-1]:    # in the last it stopped
        if w["begin"] < START_US * us:
            continue
        length = (w["end"] - w["begin"]) / us
        schedule = min((s for s in (0, 1) if length <= plan[s][1] + LOOK_US), key=lambda s: plan[s][1], default=None)
        assert schedule is not None, f"a window of {length} us, longer than any that is planned: {w}"
        start, full = plan[schedule]
        assert full - GUARD_US <= length, f"a window of {length} us, planned {full}: {w}"
        found.append((schedule, w["begin"] / us - start))
    return found


def check_grid(name, frames):
    """Each frame begins where the last one of its schedule ended; returns when the schedule changed, and to which."""
    changes = []
    for (before, began), (schedule, now) in zip(frames, frames[1:]):
        late = now - began - FRAME[before]
        assert abs(late) <= GUARD_US, f"{name}: frame of schedule {schedule} at {now} us, {late} us off"
        if schedule != before:
            changes.append((schedule, now))
    return changes


@pytest.mark.time_limit(240)
def test_schedules_switch_together(machine):
    m = image.boot(machine, "modes", cpus=3)
    for name in ("pilot", "storm", "member", "witness"):
        m.wait_for(rf"^\[{name}\] RESULT modes ", timeout=200, on="e9")
    us = fields(re.search(r"RESULT modes .*", m.e9)[0])["tsc_khz"] / 1000
    calls = {name: records(m.e9, name, "CALLS")[0] for name in ("pilot", "storm", "member", "witness")}

    # Who may, and who may not.
    assert calls["pilot"]["accepted"] == 3 and calls["pilot"]["denied"] == calls["pilot"]["other"] == 0
    assert calls["pilot"]["busy"] > 0, "it asked while a CPU was loading a partition, and was not told to wait"
    assert calls["storm"]["accepted"] > 5 and calls["storm"]["busy"] > 100
    for name in ("member", "witness"):
        c = calls[name]
        assert c["denied"] > 10 and c["accepted"] == c["busy"] == c["other"] == 0, f"{name} has no right: {c}"

    # Whole windows only, on the plan of the schedule in force; the same instants on both CPUs.
    changes = {name: check_grid(name, boundaries(records(m.e9, name, "WINDOW"), us, plan))
               for name, plan in WINDOWS.items()}
    assert len(changes["storm"]) >= 6
    for name in ("member", "witness"):
        assert len(changes[name]) == len(changes["storm"])
        for (schedule, at), (other, when) in zip(changes["storm"], changes[name]):
            assert schedule == other and abs(at - when) <= GUARD_US, f"{name}: {other} at {when} us, storm: {schedule} at {at}"

    # An accepted request is obeyed at the first boundary from 100 us after it on.
    asked = [s for s in records(m.e9, "pilot", "SWITCH") if s["at"] / us > START_US]
    for request, (schedule, at) in zip(asked, changes["witness"]):
        assert request["schedule"] == schedule
        assert 100 - GUARD_US <= at - request["at"] / us <= 100 + GUARD_US + FRAME[1 - schedule]

    assert not re.search(MISSED, m.e9, re.MULTILINE), "the loop has missed a period"
    assert re.search(r"^\[loop\] rt: periods 1000 missed 0", m.e9, re.MULTILINE)


def rings(machine, name):
    m = image.boot(machine, name, cpus=2)
    line = m.wait_for(r"^\[bell\] RESULT doorbell n=(\d+) .*tsc_khz=(\d+)", timeout=100, on="e9")
    m.wait_for(r"^\[busy\] RESULT modes ", timeout=60, on="e9")
    us = int(line[2]) / 1000
    waits = [int(ticks) / us for ticks in re.findall(r"^\[bell\] RING \d+ (\d+)", m.e9, re.MULTILINE)]
    assert len(waits) == int(line[1]) == 80
    busy = boundaries(records(m.e9, "busy", "WINDOW"), us, BUSY)
    assert len(busy) > 50
    for (_, before), (_, began) in zip(busy, busy[1:]):
        assert abs(began - before - 10000) <= GUARD_US, f"the neighbour's window came {began - before} us after the last"
    return waits


@pytest.mark.time_limit(150)
def test_window_opens_early_for_an_interrupt(machine):
    """At all phases of the frame: at once, but for those where a neighbour runs in its own window of 2 ms."""
    waits = rings(machine, "early")
    assert sum(w < 100 for w in waits) >= 60 and max(waits) < 2000 + 100 + GUARD_US


@pytest.mark.time_limit(150)
def test_window_stays_shut_without_the_right(machine):
    """The same, but for `early: true`: at once in its own window of 1.5 ms, else after up to 8.5 ms."""
    waits = rings(machine, "window_only")
    assert sum(w < 100 for w in waits) <= 16 and max(waits) > 8000
