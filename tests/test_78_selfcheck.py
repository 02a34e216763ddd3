# SPDX-License-Identifier: Apache-2.0
"""The self-check: its table at the start, and in the background what changes behind the core's back."""
import re
import subprocess

import pytest

import auditfile
import image

LINE = re.compile(r"^\[core\] self-check: (pass|FAIL)  (.*?)\r?$", re.MULTILINE)
UNUSED = 0x10   # in the core's first page of code, which begins with its header: nobody runs it
IGNORED = 7     # byte of a second-level entry that is not present: no CPU looks at it
SMRR, IMAGE, TABLES = 7, 21, 27     # core/selfcheck.h
SELF_CHECK, DIFFERS = 13, 14


def tables_at():
    """Offset of the second-level tables in the core's run."""
    symbols = subprocess.run(["nm", image.path("selfcheck_shared").replace("bulkhead.efi", "core.elf")], capture_output=True, text=True, check=True)
    return int(re.search(r"^([0-9a-f]+) . data_end$", symbols.stdout, re.MULTILINE)[1], 16) & 0x7fffffff


def core_at(m):
    return int(re.search(r"core at ([0-9a-f]+), ", m.e9)[1], 16)


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
    m.poke(core_at(m) + UNUSED, 0xcc)
    m.wait_for(r"^core: PANIC on CPU 0: self-check: the core's code or constants, sum: ", on="e9", timeout=60)


@pytest.mark.time_limit(120)
def test_differences_are_recorded(machine, tmp_path):
    """on_difference: record. The table's result is in the audit, then a changed byte of second-level tables, then one of the core's code; all goes on."""
    m = machine(image.rebuilt("selfcheck_shared", tmp_path, ".self_check = 0x2", ".self_check = 0x0"), files=image.payloads("selfcheck_shared"), cpus=2)
    m.wait_for(r"^\[loop\] rt: periods 2000 ", on="e9", timeout=100)
    assert "self-check: CPU" not in m.e9
    for address, value, words in ((tables_at() + IGNORED, 0x40, "second-level tables of partitions or devices, sum"),
                                  (UNUSED, 0xcc, "the core's code or constants, sum")):
        m.poke(core_at(m) + address, value)
        m.wait_for(rf"^\[core\] self-check: CPU 0: {words}: ", on="e9", timeout=60)
    at = m.mark()
    m.wait_for(rf"^\[reader\] AUDIT \d+ \d+ \d+ 1 {DIFFERS} \d+ {IMAGE:x} ", on="e9", timeout=60)
    m.wait_for(r"^\[loop\] rt: periods ", on="e9", timeout=60, since=at)
    audit = auditfile.read(m.e9.encode())
    assert {(r.cpu, r.a, r.b) for r in audit.records if r.event == SELF_CHECK} == {(0, 1, 1 << SMRR), (1, 1, 1 << SMRR)}
    assert [(r.kind, r.cpu, r.a) for r in audit.records if r.event == DIFFERS] == [(1, 0, TABLES), (1, 0, IMAGE)]
    assert "PANIC" not in m.e9
