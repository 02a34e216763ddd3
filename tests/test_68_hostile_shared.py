# SPDX-License-Identifier: Apache-2.0
"""A hostile partition on a shared CPU: whatever it does to its local APIC, timers and second vCPU, a neighbour's windows are kept."""
import re

import pytest

import image

ATTACKS = ("registers", "timers", "starts", "rings", "ipi", "apic", "instructions", "values")
LATE_TICKS = 18500          # a deadline right behind the watcher's window waits for the next one, 750 us, and the guard


def fields(line):
    return {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)", line)}


@pytest.mark.time_limit(240)
@pytest.mark.parametrize("model", ["tigerlake", "corei7_ivy_bridge_3770k"])
def test_neighbour_of_a_hostile_partition_misses_nothing(machine, model):
    m = image.boot(machine, "hostile_shared", cpu=model)
    end = fields(m.wait_for(r"^\[hostile\] RESULT hostile (.*forbidden=\d+)", timeout=220, on="e9")[1])
    watched = fields(m.wait_for(r"^\[watch\] RESULT watch (.*strays=\d+)", timeout=60, on="e9")[1])
    assert end["attacks"] == len(ATTACKS) and end["breaches"] == end["broken"] == 0, re.findall(r"BREACH.*", m.e9)
    assert int(m.wait_for(r"^\[watch\] watch: longest stay in root mode of this CPU (\d+)", on="e9")[1]) <= image.W_LIMIT
    assert watched == {"rows": len(ATTACKS) + 1, "memory": 1, "state": 1, "strays": 0}
    rows = {name: fields(row) for name, row in re.findall(r"^\[watch\] WATCH (\w+) (.*)", m.e9, re.MULTILINE)}
    assert set(rows) == {"quiet", *ATTACKS}
    for name, row in rows.items():
        print(f"{name}: {row}")
        assert row["missed"] == 0 and row["periods"] > 40, f"{name}: {row}"
        assert row["max"] <= LATE_TICKS, f"{name}: {row}, quiet: {rows['quiet']}"
    for name in ATTACKS:
        tried = fields(re.search(rf"^\[hostile\] ATTACK {name} (tried.*)", m.e9, re.MULTILINE)[1])
        assert tried["tried"] > 0 and tried["survived"] == tried["timer"] == tried["ipi"] == 1
