# SPDX-License-Identifier: Apache-2.0
"""The plant of config/plant.yaml in turns of one instruction, in which no CPU's work moves another's clock: the control loop from its first period on."""
import re

import pytest

import image
import test_79_plant as plant


@pytest.mark.time_limit(900)
def test_loop_misses_nothing_from_the_start(machine, linux_kernel):
    """While Linux starts, while the hostile partition does what it can and while it is started again: no period missed, the handler 29 ticks after its
    deadline at most, as on the bare emulator (`make bench`)."""
    m = image.boot(machine, "plant", cpus=5, quantum=1, ips=plant.IPS, com1="pty")
    m.wait_for(r"^\[linux\] linux# ", timeout=800, on="e9")
    plant.wake_hostile(m, m.mark())
    m.wait_for(rf"^\[linux\] .*AUDIT {plant.HOSTILE} \d+ \d+ 2 4 {plant.HOSTILE} ", timeout=100, on="e9")
    plant.wait_lines(m, 1, m.mark())
    lines = re.findall(r"^\[loop\] rt: periods \d+ missed (\d+) latency min/med/max (\d+)/(\d+)/(\d+)", m.e9, re.M)
    assert len(lines) > 10 and {line[0] for line in lines} == {"0"}
    assert max(int(line[3]) for line in lines) <= 29
