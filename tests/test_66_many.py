# SPDX-License-Identifier: Apache-2.0
"""Thirty-two partitions on one core, and that exits and switches cost no more with them than with two."""
import re

import pytest

import image

PARTITIONS = 32
SIZES = 10      # instructions: an index times another size of an array is compiled differently


@pytest.mark.time_limit(150)
def test_thirty_two_partitions_meet_their_periods(machine):
    m = image.boot(machine, "many")
    for n in range(PARTITIONS):
        line = m.wait_for(rf"^\[p{n:02}\] RESULT many name=p{n:02} periods=(\d+) missed=(\d+) late=(\d+) max=(\d+) ",
                          timeout=120, on="e9")
        assert [int(v) for v in line.groups()[:3]] == [100, 0, 0], line[0]


def figures(machine, name):
    m = image.boot(machine, name, quantum=1)
    m.wait_for(r"^\[peer\] RESULT cost peer", timeout=120, on="e9")
    m.kill()
    return {f[0]: (int(f[1]), int(f[2])) for f in re.findall(r"FIGURE (\w+) min=(\d+) med=(\d+)", m.e9)}


@pytest.mark.time_limit(300)
def test_cost_does_not_grow_with_partitions(machine):
    """Least and median ticks (instructions) of exits, and from one partition's last look at the TSC to another's first."""
    two, many = figures(machine, "cost2"), figures(machine, "cost32")
    for name in ("cpuid", "hypercall", "rdmsr", "lapic_write", "switch"):
        print(f"{name}: with 2 partitions {two[name]}, with {PARTITIONS} {many[name]}")
        assert all(abs(a - b) <= SIZES for a, b in zip(two[name], many[name])), \
            f"{name}: {two[name]} with 2 partitions, {many[name]} with {PARTITIONS}"
