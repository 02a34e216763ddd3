# SPDX-License-Identifier: Apache-2.0
"""Restarts in a row: each is as the first, and the neighbour, on a CPU of its own, does not feel them."""
import re

import pytest

import image


def lines(text):
    """Of each line of the loop: periods so far, missed since the line before, latency: minimum, median, maximum."""
    return [[int(n) for n in found] for found in
            re.findall(r"^\[loop\] rt: periods (\d+) missed (\d+) latency min/med/max (\d+)/(\d+)/(\d+)", text, re.MULTILINE)]


@pytest.mark.parametrize("name,lives", [
    pytest.param("restart_many", 10000, marks=pytest.mark.time_limit(1500)),
    pytest.param("restart_large", 11, marks=pytest.mark.time_limit(200)),
])
def test_nothing_grows(machine, name, lives):
    """10,000 lives of 1 MiB, and ten restarts of 64 MiB: memory and registers as new each time, and the last restart takes as long as the first."""
    m = image.boot(machine, name, cpus=2)
    line = m.wait_for(r"^\[phoenix\] RESULT phoenix lives=(\d+) dirty=(\w+) strays=(\d+) took=(\d+) (\d+)", timeout=1400, on="e9")
    assert (int(line[1]), int(line[2], 16), int(line[3])) == (lives, 0, 0)
    assert int(line[5]) < 1.5 * int(line[4]), "a restart takes longer than another"
    assert lines(m.e9) and not any(missed for _, missed, *_ in lines(m.e9))


@pytest.mark.time_limit(400)
def test_neighbour_feels_nothing(machine):
    """Turns of one instruction: 28 ticks from deadline to handler, as in `make bench`, in each of 20,000 periods with some 250 restarts in them."""
    m = image.boot(machine, "restart", cpus=2, quantum=1)
    m.wait_for(r"^\[loop\] rt: periods 35000 ", timeout=380, on="e9")
    assert "RESULT phoenix" not in m.e9
    # By then the core tells of restarts no more: to print is what every CPU helps with.
    assert [line for line in lines(m.e9) if line[0] > 15000] == [[n, 0, 28, 28, 28] for n in range(20000, 35001, 5000)]
