# SPDX-License-Identifier: Apache-2.0
"""Registers in memory that the core emulates: local APIC in xAPIC mode, virtual I/O APIC; and interrupts of the machine."""
import re

import pytest

import image

MISSED = r"^\[loop\] rt: periods \d+ missed [1-9]"
PROMPT = r"^\[linux\] linux# "


@pytest.mark.time_limit(90)
@pytest.mark.parametrize("model", ["tigerlake", "corei7_ivy_bridge_3770k"])
def test_registers(machine, model):
    """Every byte of both pages by every size, then as a driver uses them; the neighbour goes on. Its periods are not judged: the core tells of
    the first forbidden accesses, which takes longer than its windows."""
    m = image.boot(machine, "mmio", cpu=model)
    m.wait_for(r"^\[mmio\] RESULT mmio checks=44 failed=0", timeout=80, on="e9")
    assert int(m.wait_for(r"^\[core\] mmio: .*longest stay in root mode (\d+)", timeout=30, on="e9")[1]) <= image.W_LIMIT
    m.wait_for(r"^\[loop\] rt: periods 6000 ", timeout=80, on="e9")


def typed(m, command, answer):
    since = m.mark()
    m.send(command + "\r")
    return m.wait_for(rf"^\[linux\] {answer}", timeout=60, on="e9", since=since)


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("name,vcpus", [("xapic1", 1), ("xapic2", 2)])
def test_linux_in_xapic_mode(machine, linux_kernel, name, vcpus):
    """Debian's kernel finds both APICs by its MADT; the console's interrupt comes through the I/O APIC, and no typed character is lost."""
    m = image.boot(machine, name, ips=20_000_000, com1="pty")
    m.wait_for(rf"^\[linux\] linux: cpus {vcpus}", timeout=240, on="e9")
    m.wait_for(PROMPT, timeout=60, on="e9")
    assert "forbidden" not in m.e9
    long_word = "".join(chr(ord("a") + n % 26) for n in range(200))
    typed(m, f"echo {long_word} | md5sum", r"[0-9a-f]{32} ")
    counts = r"LOC:" + vcpus * r" +(\d+)" + r" +Local timer"
    assert all(int(n) > 10 for n in typed(m, "cat /proc/interrupts", counts).groups())
    serial = typed(m, "grep ttyS0 /proc/interrupts", r" *\d+:((?: +\d+)+) +IO-APIC +4-edge +ttyS0")
    assert sum(map(int, serial[1].split())) > 10
    assert typed(m, "grep -c x2apic_enabled /proc/cpuinfo; dmesg | grep -ci 'x2apic enabled'", r"0")
    assert not re.search(MISSED, m.e9, re.MULTILINE)


@pytest.mark.time_limit(90)
def test_interrupts_of_the_machine(machine):
    """Two partitions have one each, an edge and a level, on a CPU with three others: all arrive, in their owners' windows, nobody else sees any.
    A storm of them in the time of others costs those one exit a window."""
    m = image.boot(machine, "lines", overrides=["com2: enabled=1, mode=file, dev=com2.txt"])
    assert m.wait_for(r"^\[serial\] RESULT lines (.*)", on="e9")[1].strip() == "interrupts=220 wrong=0 strays=0"
    assert m.wait_for(r"^\[quiet\] RESULT lines (.*)", on="e9")[1].strip() == "interrupts=0 wrong=0 strays=0"
    m.wait_for(r"^\[clock\] lines: clock: 999 periods ", on="e9")
    m.wait_for(r"^\[clock\] RESULT lines interrupts=400[01] wrong=0 strays=0", on="e9")
    m.wait_for(r"^\[loop\] rt: periods 4000 ", on="e9")
    # Virtual-interrupt delivery with EOI exits: those of levels, and of nothing else.
    eoi, wrmsr = map(int, re.search(r"lines: serial: exits eoi=(\d+) wrmsr=(\d+)", m.e9).groups())
    assert eoi >= 220 and wrmsr < 20
    assert re.search(r"lines: clock: exits eoi=0 ", m.e9)
    assert not re.search(MISSED, m.e9, re.MULTILINE)


@pytest.mark.time_limit(60)
def test_a_window_opens_early_for_an_interrupt_of_the_machine(machine):
    """A tick each 2.5 ms, a window each 10 ms: ticks come as they are due, since their owner may have the time that others leave. Without
    that right, 999 of them take 49 million ticks too long; the few here are of the start, while the window's owner prints."""
    m = image.boot(machine, "early_line")
    off = m.wait_for(r"^\[clock\] lines: clock: 999 periods are (\d+) ticks off", on="e9")
    assert int(off[1]) < 400_000
    m.wait_for(r"^\[clock\] RESULT lines interrupts=400[01] ", on="e9")


@pytest.mark.time_limit(60)
def test_input_that_the_machine_has_not(machine, tmp_path):
    m = machine(image.rebuilt("lines", tmp_path, ".irq = 0,", ".irq = 200,"), files=image.payloads("lines"))
    m.wait_for(r"STOP: IRQ 200, global system interrupt 200: no I/O APIC of this machine has it", timeout=30, on="e9")
