# SPDX-License-Identifier: Apache-2.0
"""Several partitions on one CPU: windows are kept whatever the neighbours do, and unmodified Linux runs in them, SMP too."""
import re

import pytest

import image
import smp

MISSED = r"^\[loop\] rt: periods \d+ missed [1-9]"


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("model", ["tigerlake", "corei7_ivy_bridge_3770k"])
def test_loop_keeps_its_periods_beside_a_spinner(machine, model):
    """A 1 kHz loop, a guest that causes exits without end, and one that spins with interrupts off, on ONE CPU."""
    m = image.boot(machine, "shared3", cpu=model)
    m.wait_for(r"^\[spinner\] ATTACK loop begin", timeout=80, on="e9")
    line = m.wait_for(r"^\[loop\] RESULT rt periods=(\d+) missed=(\d+)", timeout=100, on="e9")
    assert (int(line[1]), int(line[2])) == (10000, 0)
    assert re.search(r"^\[bench\] RESULT bench", m.e9, re.MULTILINE)
    assert not re.search(MISSED, m.e9, re.MULTILINE)


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("model", ["tigerlake", "corei7_ivy_bridge_3770k"])
def test_interrupts_wait_while_they_are_off(machine, model):
    """Its own and another CPU's, posted by hardware and without it: none is taken with RFLAGS.IF = 0, none is lost."""
    m = image.boot(machine, "held", cpus=2, cpu=model)
    line = m.wait_for(r"^\[pair\] RESULT held rounds=100 self=(\d+) sent=(\d+) taken=(\d+) early=(\d+) late=(\d+)", timeout=100, on="e9")
    own, sent, taken, early, late = map(int, line.groups())
    assert (own, early, late) == (100, 0, 0)
    assert sent >= taken >= 100


@pytest.mark.time_limit(300)
def test_linux_loop_and_spinner_on_one_cpu(machine, linux_kernel):
    """60,000 periods while Debian's kernel boots to its shell and a third guest never gives its time back."""
    m = image.boot(machine, "scheduled")
    m.wait_for(r"^\[linux\] linux: init reached", timeout=240, on="e9")
    m.wait_for(r"^\[loop\] rt: periods 60000 ", timeout=240, on="e9")
    assert not re.search(MISSED, m.e9, re.MULTILINE)
    assert re.search(r"^\[loop\] RESULT rt periods=10000 missed=0", m.e9, re.MULTILINE)


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("name,cpus", [("smp2", 2), ("smp2on1", 1), ("smp2on2", 2)])
def test_linux_with_two_vcpus(machine, linux_kernel, name, cpus):
    """INIT and SIPI inside the partition, and work for both vCPUs: on two dedicated CPUs, on one shared with a loop, on two shared ones."""
    m = image.boot(machine, name, cpus=cpus, quantum=16 if name == "smp2on2" else 4)
    m.wait_for(r"^\[linux\] linux: init reached", timeout=240, on="e9")
    m.wait_for(r"^\[linux\] linux: cpus 2", timeout=60, on="e9")
    smp.check_load(m, 2, timeout=120)
    assert not re.search(MISSED, m.e9, re.MULTILINE)
