# SPDX-License-Identifier: Apache-2.0
"""Debian's Linux reads the audit with a static program, through /dev/mem."""
import re

import pytest

import auditfile
import image


@pytest.mark.time_limit(300)
def test_linux_prints_the_audit(machine):
    m = image.boot(machine, "audit_linux", cpus=2)
    m.wait_for(r"^\[linux\] AUDIT 1 \d+ .*user: note", timeout=280, on="e9")
    audit = auditfile.read("\n".join(re.findall(r"linux: (AUDIT .*)", m.e9.replace("\r", ""))).encode())
    assert {r.cpu for r in audit.records} == {0, 1} and not audit.missed
    assert {auditfile.describe(r, {})[0] for r in audit.records} >= {"boot", "start", "note", "lost", "forbidden"}
    assert audit.lost[1] == sum(r.a for r in audit.records if r.event == auditfile.LOST)
