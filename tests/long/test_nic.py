# SPDX-License-Identifier: Apache-2.0
"""Debian's generic kernel with its own driver for the emulator's e1000, which its partition has."""
import os
import re

import pytest

import bochs
import image
from test_86_pci import NIC

PINGS = 20          # guest/linux/init


@pytest.mark.time_limit(420)
def test_linux_pings_the_emulators_network(machine):
    if not os.path.isfile(os.path.join(bochs.cache_dir(), "generic", "vmlinuz")):
        pytest.skip("no kernel with drivers to boot: run tools/setup --only generic")
    m = image.boot(machine, "nic_linux", memory=1024, ips=100_000_000, overrides=NIC)
    m.wait_for(r"^\[linux\] linux: nic done", timeout=400, on="e9")
    assert re.search(rf"^\[linux\] {PINGS} packets transmitted, {PINGS} packets received, 0% packet loss", m.e9, re.MULTILINE)
    assert re.search(r"^\[linux\] linux: pci 0000:00:01.0 0x8086 0x100e irq \d+ .*/e1000\s*$", m.e9, re.MULTILINE)
    counts = [int(n) for n in re.findall(r"^\[linux\] linux: nic (?:before|after) +\d+: +(\d+) +IO-APIC +16-fasteoi +eth0", m.e9, re.MULTILINE)]
    assert len(counts) == 2 and counts[1] - counts[0] >= PINGS
    assert re.search(r"^\[linux\] linux: complaints 0\b", m.e9, re.MULTILINE)
    assert not re.search(r"^\[core\] linux: forbidden", m.e9, re.MULTILINE)
