# SPDX-License-Identifier: Apache-2.0
"""Debian's PREEMPT_RT kernel on a dedicated CPU. Its latencies beside those of the bare emulator, and in a window of a
shared CPU, are measured by make rt, which also fetches the kernel."""
import os
import re

import pytest

import bochs
import image

CONSOLE_REASONS = {"30", "52"}  # I/O instruction, and the preemption timer, which follows up console text
WAKE_UPS = 2000     # bulkhead.cycles in tests/long/rt_dedicated.yaml


@pytest.mark.time_limit(240)
def test_real_time_thread_wakes_without_an_exit(machine):
    """cyclictest's thread is woken 2,000 times by its timer; all exits are those of the console, which Linux polls."""
    if not os.path.isfile(os.path.join(bochs.cache_dir(), "rt", "vmlinuz")):
        pytest.skip("no PREEMPT_RT kernel to boot: run make rt, or tools/setup --only rt")
    m = image.boot(machine, "rt_dedicated", ips=100_000_000)
    m.wait_for(r"^\[linux\] linux: cyclictest done", timeout=220, on="e9")
    assert sum(map(int, re.findall(r"^\[linux\] cyclictest: \d+ us (\d+)", m.e9, re.MULTILINE))) == WAKE_UPS
    exits = dict(re.findall(r" (\w+)=(-?\d+)", re.search(r"^\[linux\] cyclictest: exits( .*)", m.e9, re.MULTILINE)[1]))
    assert exits.pop("forbidden") == "0"
    assert int(exits.pop("all")) < 400
    assert {reason for reason, count in exits.items() if int(count) > 0} <= CONSOLE_REASONS, exits
    assert re.search(r"^\[linux\] linux: complaints 0\b", m.e9, re.MULTILINE)
    assert not re.search(r"^\[core\] linux: forbidden", m.e9, re.MULTILINE)
