# SPDX-License-Identifier: Apache-2.0
"""Partitions that stop, start again, are watched, take over from each other, and seal their memory (docs/health.md)."""
import re

import pytest

import image

MISSED = r"^\[loop\] rt: periods \d+ missed [1-9]"
W = 1500


@pytest.mark.time_limit(150)
def test_thousand_restarts_on_a_cpu_of_its_own(machine):
    """Each life begins as new and ends by a triple fault, forbidden memory, or its own word; the neighbour misses nothing."""
    m = image.boot(machine, "restart", cpus=2)
    line = m.wait_for(r"^\[phoenix\] RESULT phoenix lives=(\d+) dirty=(\w+) strays=(\d+) took=(\d+) (\d+)", timeout=140, on="e9")
    assert (int(line[1]), int(line[2], 16), int(line[3])) == (1000, 0, 0)
    assert int(line[5]) < 2 * int(line[4]), "a restart takes longer than another"
    assert re.search(r"^\[loop\] rt: periods \d+ missed 0", m.e9, re.MULTILINE)
    assert not re.search(MISSED, m.e9, re.MULTILINE)


def rounds(text):
    """Of each whole round of rthist: its text, and its histogram, ticks to periods."""
    whole = re.findall(r"^\[loop\] BEGIN rt\n((?:(?!\[loop\] BEGIN).*\n)*?)\[loop\] END rt", text.replace("\r", ""), re.MULTILINE)
    return [(r, {int(ticks): int(n) for ticks, n in re.findall(r"^\[loop\] HIST rt (\d+) (\d+)", r, re.MULTILINE)}) for r in whole]


@pytest.mark.time_limit(80)
def test_restarts_in_windows_of_its_own(machine):
    """On a shared CPU the work is done in the partition's own windows, in steps below W. To the loop beside it a second with restarts is like one without:
    no later in the middle; now and then by an exchange of registers, since the partition lives in between."""
    m = image.boot(machine, "restart_shared")
    line = m.wait_for(r"^\[phoenix\] RESULT phoenix lives=(\d+) dirty=(\w+) strays=(\d+)", timeout=70, on="e9")
    assert (int(line[1]), int(line[2], 16), int(line[3])) == (30, 0, 0)
    stay = m.wait_for(r"^\[core\] phoenix: vCPU 0 stopped: .* longest stay in root mode (\d+) ticks", timeout=20, on="e9")
    assert int(stay[1]) < W
    m.wait_for(r"^\[core\] loop: vCPU 0 stopped", timeout=40, on="e9")
    before, after = m.e9.split("RESULT phoenix")
    assert re.findall(r"^\[loop\] RESULT rt periods=1000 missed=(\d+)", m.e9, re.MULTILINE) == ["0"] * 10
    # What the core prints of the first few restarts takes its time on that CPU, too.
    busy = [h for text, h in rounds(before) if "[core]" not in text]
    quiet = [h for text, h in rounds(after) if "[core]" not in text]
    assert len(busy) >= 1 and len(quiet) >= 3
    usual = {ticks for h in quiet for ticks in h}
    for h in busy:
        assert max(h) < W
        assert sum(n for ticks, n in h.items() if ticks <= max(usual) + 5) >= 950, h
        assert min(h) >= min(usual) - 5


@pytest.mark.time_limit(120)
def test_monitor(machine):
    """A monitor queries, stops, starts, resets, and sees a fail-over, heartbeats that stop, a restart limit, seals: tests/system/monitor.yaml."""
    m = image.boot(machine, "monitor", cpus=3)
    line = m.wait_for(r"^\[monitor\] RESULT monitor bad=(\d+) lives=(\d+)", timeout=110, on="e9")
    assert not re.findall(r"^\[monitor\] MONITOR .* BAD .*$", m.e9, re.MULTILINE)
    assert (int(line[1]), int(line[2])) == (0, 2)
    assert len(re.findall(r"^\[monitor\] MONITOR .* ok ", m.e9, re.MULTILINE)) == 49


@pytest.mark.time_limit(60)
def test_overruns(machine):
    """A budget that is used up, and windows that a small guard lets be cut, with their actions; the monitor is interrupted when it is called."""
    m = image.boot(machine, "overrun")
    m.wait_for(r"^\[watch\] RESULT calls .*", timeout=50, on="e9")
    found = {name: {k: int(v) for k, v in (p.split("=") for p in rest.split())}
             for name, rest in re.findall(r"^\[watch\] RESULT overrun (\w+) (.*?)\r?$", m.e9, re.MULTILINE)}
    assert found["spinner"] == {"state": 3, "reason": 9, "restarts": 2, "class": 9, "errors": 3}, "one error a life, and the limit"
    assert found["teller"].pop("errors") > 20 and found["victim"].pop("errors") > 3
    assert found["teller"] == {"state": 1, "reason": 32, "restarts": 0, "class": 9}
    assert found["victim"] == {"state": 1, "reason": 32, "restarts": 0, "class": 13}
    for name in ("steady", "noisy"):
        assert found[name] == {"state": 1, "reason": 32, "restarts": 0, "class": 0, "errors": 0}
    calls = re.search(r"RESULT calls interrupts=(\d+) empty=0 whom=22 strays=0", m.e9)
    assert calls and int(calls[1]) >= 2
    assert int(re.search(r"^\[core\] watch: vCPU 0 stopped: .* longest stay in root mode (\d+) ticks", m.e9, re.MULTILINE)[1]) < W


@pytest.mark.time_limit(90)
def test_a_companion_begins_anew_with_its_partition(machine):
    """A partition with a companion ends by a triple fault, by a companion that owes an answer, and by its own word; each life finds a new one."""
    m = image.boot(machine, "nest", cpus=2)
    for guest in ("alone", "shared"):
        m.wait_for(rf"^\[{guest}\] RESULT nest lives=7 count=0 registers=0 silent=0", timeout=80, on="e9")
    assert len(re.findall(r"^\[core\] \w+: forbidden companion: its companion owes an answer", m.e9, re.MULTILINE)) == 4
