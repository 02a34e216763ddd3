# SPDX-License-Identifier: Apache-2.0
"""Companions: devices outside the core, on the time of the vCPU whose access waits for them; and what they cannot do."""
import re

import pytest

import image

MISSED = r"^\[loop\] rt: periods \d+ missed [1-9]"
OWES = "its companion owes an answer"
RAISED = r"its companion's exception \(<< 32\) and rip "
# What the companion misfit does, and how it ends: by the core's word, or not at all (None).
MISFITS = {
    "hang": OWES, "calls": OWES, "hang-1": OWES,
    "invalid": RAISED + r"6000\w{5} at", "divide": RAISED + r"\w{5} at", "float": RAISED + r"6000\w{5} at", "x87": RAISED + r"7000\w{5} at",
    "debug": RAISED + r"d000\w{5} at", "msr": RAISED + r"d000\w{5} at", "swapgs": RAISED + r"d000\w{5} at", "halt": RAISED + r"d000\w{5} at", "stop": RAISED + "d",
    "beyond": "its companion ended, exit reason 30", "port": "its companion ended, exit reason 1e",
    "vector": "its companion gives vector 3",
    "none": None, "past": None, "past-3": None,
}


@pytest.mark.time_limit(120)
@pytest.mark.xdist_group("companion")
@pytest.mark.parametrize("model", ["tigerlake", "corei7_ivy_bridge_3770k"])
def test_timers_and_interrupt_controllers(machine, model):
    """8259, 8254, clock and ACPI timer for a guest on a dedicated CPU and for one that shares a CPU with a 1 kHz loop."""
    m = image.boot(machine, "companion", cpus=2, cpu=model)
    for guest in ("alone", "shared"):
        line = m.wait_for(rf"^\[{guest}\] RESULT ticks timer=(\d+) clock=(\d+) failures=(\d+)", timeout=80, on="e9")
        assert line[1] == "1021" and line[3] == "0", m.e9
    m.wait_for(r"^\[loop\] rt: periods 10000 ", timeout=80, on="e9")
    assert not re.search(MISSED, m.e9, re.MULTILINE)


@pytest.mark.time_limit(150)
@pytest.mark.xdist_group("companion")
def test_a_companion_harms_nobody_else(machine):
    """It hangs, faults, reaches for what is not its own, lies: its partition ends, or lives; the neighbour misses nothing."""
    m = image.boot(machine, "misfit", cpus=4)
    m.wait_for(r"^\[loop\] RESULT rt periods=10000 missed=0", timeout=120, on="e9")
    assert not re.search(MISSED, m.e9, re.MULTILINE)
    for name, end in MISFITS.items():
        ended = re.search(rf"^\[core\] {name}: forbidden companion: (.*)", m.e9, re.MULTILINE)
        lives = re.search(rf"^\[{name}\] RESULT provoke {name} lives answer=5a", m.e9, re.MULTILINE)
        if end is None:
            assert lives and not ended, (name, m.e9)
        else:
            assert ended and re.match(end, ended[1]) and not lives, (name, m.e9)
            assert re.search(rf"^\[core\] {name}: vCPU 0 stopped: companion", m.e9, re.MULTILINE), name
    # An interrupt that never ends leaves its guest no time, as on a PC; it is not an error.
    for name in ("storm", "storm-2"):
        assert f"[{name}] provoke" in m.e9 and f"{name}: forbidden" not in m.e9 and f"provoke {name} lives" not in m.e9


@pytest.mark.time_limit(120)
@pytest.mark.xdist_group("companion")
def test_registers_in_memory_and_two_vcpus(machine):
    """Forwarded accesses to memory in all forms, PCI configuration ports, a pin of the I/O APIC; two vCPUs that ask one companion at once, and
    two whose companion hangs: both end, and nobody else."""
    m = image.boot(machine, "forward", cpus=2)
    for guest, interrupts in (("alone", 0), ("two", 20), ("hang", 20)):
        m.wait_for(rf"^\[{guest}\] RESULT forward checks=\d+ failed=0 interrupts={interrupts}", timeout=80, on="e9")
    for vcpu in range(2):
        m.wait_for(rf"^\[core\] hang: vCPU {vcpu} stopped: companion", timeout=40, on="e9")
    m.wait_for(r"^\[loop\] rt: periods 3000 ", timeout=80, on="e9")
    assert not re.search(MISSED, m.e9, re.MULTILINE)
    assert "[core] two: forbidden" not in m.e9


@pytest.mark.time_limit(150)
def test_linux_and_ivshmem(machine, linux_kernel):
    """Debian's Linux finds the PCI device, maps it in user space, and exchanges messages with a bare-metal partition; it sleeps until INTx."""
    m = image.boot(machine, "ivshmem", ips=20_000_000)
    m.wait_for(r"^\[linux\] ivshmem: position=0 memory=65536 woken by uio", timeout=120, on="e9")
    ended = m.wait_for(r"^\[linux\] ivshmem: messages=200 wrong=0 wakeups=(\d+)", timeout=60, on="e9")
    assert int(ended[1]) > 50
    assert re.search(r"^\[peer\] RESULT ivpeer messages=200 ", m.e9, re.MULTILINE)
    m.wait_for(r"^\[linux\] linux: shell", timeout=30, on="e9")
    came = re.findall(r"^\[linux\] +\d+: +(\d+) +IO-APIC +16-fasteoi +uio_pci_generic", m.e9, re.MULTILINE)
    assert int(came[-1]) >= int(ended[1]) and "forbidden" not in m.e9


@pytest.mark.time_limit(200)
def test_memtest86_runs_unmodified(machine):
    """Debian's memtest86+: it counts the TSC against a timer of its companion, and tests memory."""
    m = image.boot(machine, "memtest")
    m.wait_for(r"Memtest86\+ v\d", timeout=60, on="e9")
    m.wait_for(r"CLK/Temp: 20MHz", timeout=60, on="e9")      # the TSC of the emulator
    m.wait_for(r"#3  ", timeout=120, on="e9")
    assert re.search(r"Errors: 0", m.e9) and not re.search(r"Errors: [1-9]", m.e9)
