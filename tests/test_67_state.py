# SPDX-License-Identifier: Apache-2.0
"""State of one partition is never seen by another on the same CPU: registers, and what is flushed."""
import re

import pytest

import image

AVX, AVX512 = 0x7, 0xE7


@pytest.mark.time_limit(100)
@pytest.mark.parametrize("model,xcr0", [("tigerlake", AVX512), ("corei7_ivy_bridge_3770k", AVX),
                                        ("sapphire_rapids", AVX512)])     # the last has AMX, which no guest is shown
def test_registers_of_one_partition_are_never_seen_by_another(machine, model, xcr0):
    m = image.boot(machine, "secrets", cpu=model)
    for name in ("writer-a", "writer-b", "reader"):
        line = m.wait_for(rf"^\[{name}\] RESULT secrets name={name} looks=(\d+) windows=(\d+) leaks=(\d+) xcr0=(\w+) hidden=(\d)",
                          timeout=60, on="e9")
        looks, windows, leaks = int(line[1]), int(line[2]), int(line[3])
        assert leaks == 0, "\n".join(re.findall(r"LEAK.*", m.e9))
        assert windows > 100 and looks > windows
        assert int(line[4], 16) == xcr0, "another set of extended registers than this model has"
        assert int(line[5]) == 4, "PKRU or AMX can be had, and nobody switches it"


STEP = re.compile(r"^\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]{16}) \(.*?\): ([^;\r\n]*)", re.MULTILINE)
SWITCHES = 10       # the last of so many is looked at: between partitions that have both filled their registers


def one_switch(machine, tmp_path, model):
    """[instruction] from switch_state() to the VM entry, and those of them in flush_for_next_partition()."""
    s = image.symbols("secrets")
    (tmp_path / "rc").write_text(f"lb {s['switch_state']:#x}\n" + "c\n" * SWITCHES + "trace on\ns 6000\nq\n")
    m = image.boot(machine, "secrets", cpu=model, debugger_rc=str(tmp_path / "rc"))
    m.wait_end()
    steps = [(int(rip, 16), what.strip()) for rip, what in STEP.findall(m.e9)]
    ends = [i for i, (_, what) in enumerate(steps) if what.startswith("vmresume")]
    assert ends, m.e9[-1000:]
    steps = steps[:ends[0]]
    end = min(a for a in s.values() if a > s["flush_for_next_partition"])
    return [what for _, what in steps], [w for rip, w in steps if s["flush_for_next_partition"] <= rip < end]


def written(steps):
    """MSRs that are written with a number that stands in the code."""
    numbers = [re.match(r"mov ecx, 0x(\w+)", what) for what in steps]
    return [int(numbers[max(i for i in range(at) if numbers[i])][1], 16) for at, what in enumerate(steps) if what == "wrmsr"]


def matching(steps, pattern):
    return sum(1 for what in steps if re.match(pattern, what))


@pytest.mark.time_limit(120)
def test_flushes_between_partitions(machine, tmp_path):
    """Each that secrets.yaml asks for is executed once, and what a switch costs beside it."""
    steps, flush = one_switch(machine, tmp_path, "tigerlake")
    assert written(flush) == [0x49, 0x10B], "PRED_CMD (IBPB), FLUSH_CMD (L1D)"
    assert matching(flush, "verw") == 1 and matching(flush, "call") == 32
    print(f"switch between partitions that differ in all registers: {len(steps)} instructions, of these {len(flush)} of flushes; "
          f"{matching(steps, 'rdmsr')} RDMSR, {matching(steps, 'wrmsr')} WRMSR, of these {matching(flush, 'wrmsr')} of flushes; "
          f"XSETBV {matching(steps, 'xsetbv')}, VMREAD {matching(steps, 'vmread')}, VMWRITE {matching(steps, 'vmwrite')}")
    assert matching(steps, "rdmsr") <= 2 and matching(steps, "wrmsr") <= 8 + 2


@pytest.mark.time_limit(120)
def test_flushes_without_the_commands(machine, tmp_path):
    """A CPU that has neither IBPB nor the L1D flush command: the cache is filled, 64 KiB by lines."""
    _, flush = one_switch(machine, tmp_path, "corei7_ivy_bridge_3770k")
    assert written(flush) == [] and matching(flush, "verw") == 1 and matching(flush, "call") == 32
    assert sum(1 for what in flush if re.match(r"(movzx|mov) \w+, byte ptr ds:\[r", what)) == 1024
