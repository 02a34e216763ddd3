# SPDX-License-Identifier: Apache-2.0
"""config/plant.yaml, five partitions that work together: one turns hostile, is started again by its policy, and then stays stopped. The filter lets through what
it may, the monitor sees it, Linux prints the audit of it as it happens, and the control loop misses nothing."""
import re
import subprocess

import pytest

import auditfile
import image
from conftest import BUILD, TOP

LINUX, LOOP, FILTER, MONITOR, HOSTILE = range(5)        # partitions of config/plant.yaml
LIVES = 4                                               # the first, and three restarts in ten seconds
MEMORY, MSR, PORT, NOWHERE, SET_SCHEDULE = 1, 2, 3, 0x40000000, 5
# In each life: ten orders, an end and one that is cut off; two are forbidden, three too large (guest/apps/rogue.c).
FORBIDDEN, LARGE, ORDERS, ODD = 2, 3, 10, 2
IPS = 100_000_000       # as make run: the periods of the others cost Linux less


def missed(text):
    """Of each line of the loop: the periods it has missed since the line before."""
    return [int(n) for n in re.findall(r"^\[loop\] rt: periods \d+ missed (\d+) ", text, re.M)]


def wait_lines(m, count, since):
    m.wait_for(rf"(?:^\[loop\] rt: periods .*\n(?:.*\n)*?){{{count}}}", timeout=60, on="e9", since=since)


def wake_hostile(m, since):
    """The keyboard goes to the hostile partition, and a key."""
    for number in range(LOOP, HOSTILE + 1):
        m.send("\x1d")
        m.wait_for(rf"^--- keyboard: \w+ \({number + 1} of 5\)", timeout=40, on="e9", since=since)
    m.send("x")


def test_plan_tells_who_may_do_what():
    run = subprocess.run([f"{BUILD}/mkconfig", "plan", "config/plant.yaml", "--root", BUILD], cwd=TOP, capture_output=True, text=True, check=True)
    rights = dict(re.findall(r"^  (\w+)\n    boots .*\n    hypercalls  (.*)$", run.stdout, re.M))
    assert "partition status, partition stop, partition start, partition reset, events" in rights["monitor"]
    assert not any("partition" in calls for who, calls in rights.items() if who != "monitor")
    assert "  hostile -> monitor by state\n" in run.stdout and "  monitor -> hostile by control\n" in run.stdout
    assert "  proved: from hostile to loop only through filter\n" in run.stdout


@pytest.mark.time_limit(260)
def test_hostile_partition_of_the_plant(machine, linux_kernel):
    m = image.boot(machine, "plant", cpus=5, quantum=16, ips=IPS, com1="pty")
    m.wait_for(r"^\[linux\] linux# ", timeout=180, on="e9")
    live = m.mark()
    wait_lines(m, 1, live)          # that one still tells of Linux's start, see tests/test_30_demo.py
    quiet = m.mark()
    wake_hostile(m, quiet)
    m.wait_for(rf"^\[linux\] .*AUDIT {HOSTILE} \d+ \d+ 2 4 {HOSTILE} ", timeout=60, on="e9", since=quiet)
    m.wait_for(r"^\[monitor\] MONITOR loop: ", timeout=40, on="e9", since=quiet)
    over = m.mark()
    wait_lines(m, 2, over)
    before, text = m.e9[:live["e9"]], m.e9[live["e9"]:].replace("\r", "")

    # All of it came when Linux was at its prompt: the records were printed as they came.
    assert "ROGUE begins" not in before and "BREACH" not in m.e9
    assert text.count("ROGUE begins") == LIVES
    assert re.findall(r"^\[hostile\] ROGUE (msr=.*)", text, re.M) == ["msr=13 port=ff call=-1"] * LIVES
    audit = auditfile.read("\n".join(re.findall(r"^\[linux\] .*?(AUDIT \d.*)", text, re.M)).encode())    # the first stands behind the prompt
    told = [(auditfile.describe(r, {})[0], r.a, r.b) for r in audit.records if r.partition == HOSTILE and r.event != auditfile.REFUSED]
    life = [("forbidden", MSR, 0x3a), ("forbidden", PORT, 0xcf9), ("forbidden", MEMORY, NOWHERE)]
    expected = life
    for n in range(1, LIVES):
        expected = expected + [("restart", n, MEMORY), ("start", 0, n)] + life
    assert told == expected + [("fail", MEMORY, 0)]
    assert [r.a for r in audit.records if r.event == auditfile.REFUSED] == [SET_SCHEDULE] * LIVES
    assert not audit.missed and {r.partition for r in audit.records} == {HOSTILE}

    # The monitor has seen it fail for good, and the core starts it no more.
    changes = re.findall(r"^\[monitor\] MONITOR hostile (.*)", text, re.M)
    assert changes[-1] == f"failed: forbidden memory, restarts {LIVES - 1}"
    assert changes.count(f"failed: forbidden memory, restarts {LIVES - 1}") == 1
    # The filter has seen each message, and what it has passed has come to the loop.
    passed = LIVES * (ORDERS - FORBIDDEN)
    assert re.findall(r"^\[filter\] filter: (.*)", text, re.M)[-1] == \
        f"seen {LIVES * (ORDERS + 1)} passed {passed} changed {LIVES * LARGE} dropped {LIVES * (FORBIDDEN + ODD)}"
    assert re.search(rf"^\[monitor\] MONITOR loop: orders {passed} wrong 0 setpoint 1000 ", text, re.M)
    assert len(missed(text)) >= 3 and not any(missed(m.e9[quiet["e9"]:]))
