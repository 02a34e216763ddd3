# SPDX-License-Identifier: Apache-2.0
"""The self-check: its table at the start, and in the background what changes behind the core's back."""
import re

import pytest

import image

LINE = re.compile(r"^\[core\] self-check: (pass|FAIL)  (.*?)\r?$", re.MULTILINE)
UNUSED = 0x10   # in the core's first page of code, which begins with its header: nobody runs it


@pytest.mark.time_limit(120)
def test_table_and_a_changed_byte(machine):
    m = image.boot(machine, "selfcheck_shared", cpus=2)
    m.wait_for(r"^\[loop\] rt: periods 2000 ", on="e9", timeout=100)
    table = LINE.findall(m.e9)
    assert len(table) == 14
    # The emulator's CPUs have no SMRR: told as missing, not passed over.
    assert [name for state, name in table if state == "FAIL"] == ["SMRR: system-management memory kept from the cache"]
    assert "[core] self-check: 1 failed" in m.e9
    assert "missed 0" in re.findall(r"^\[loop\] rt: periods 2000 .*$", m.e9, re.MULTILINE)[0]
    assert "self-check: CPU" not in m.e9 and "PANIC" not in m.e9
    core = int(re.search(r"core at ([0-9a-f]+), ", m.e9)[1], 16)
    m.poke(core + UNUSED, 0xcc)
    m.wait_for(r"^core: PANIC on CPU 0: self-check: the core's code or constants, sum: ", on="e9", timeout=60)
