# SPDX-License-Identifier: Apache-2.0
"""A PCI function of a partition: the emulator's e1000, whose network answers for 192.168.10.1. There is no IOMMU here."""
import re

import pytest

import auditfile
import image

NIC = ["pci: enabled=1, chipset=i440fx, slot1=e1000",
       'e1000: card=0, enabled=1, mac=52:54:00:12:34:56, ethmod=vnet, ethdev="."']
BUS_MASTER = 4
BLOCKED = 15    # hypercall/audit.h
W = 1500


@pytest.mark.time_limit(90)
def test_a_partition_has_a_device(machine):
    """Its configuration space shows and takes what is listed; registers, ports, 1,000 interrupts of two exits each, and DMA work. The disk
    controller, which firmware had left to use the bus, may no longer: by the emulator's own log."""
    m = image.boot(machine, "nic", memory=1024, overrides=NIC + ["debug: action=ignore, pci_ide=report"])
    m.wait_for(r"^\[nic\] RESULT nic checks=218 failed=0", timeout=80, on="e9")
    assert "[nic] nic: 1000 interrupts, 2000 exits" in m.e9
    assert "[nic] nic: registers at c0000000, address 52:54:00:12:34:56" in m.e9
    assert "[nic] nic: 192.168.10.1 is at 52:54:00:12:34:55" in m.e9
    assert "[core] *** DMA isolation is ABSENT" in m.e9
    assert "NOT RESET, since it knows no function-level reset" in m.e9
    m.kill()
    with open(m.path("bochs.log"), encoding="utf-8", errors="replace") as log:
        commands = [int(line.split()[-2], 16) for line in log if "[PIDE  ] write PCI register 0x04 " in line]
    assert any(c & BUS_MASTER for c in commands)
    assert not commands[-1] & BUS_MASTER


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("old,new,words", [
    (".iommu = IOMMU_ABSENT_OK", ".iommu = IOMMU_REQUIRE", r"STOP: .*the configuration requires that devices are confined"),
    (".hpa = 0x80000000", ".hpa = 0x80020000",
     r"PCI 0:2.0 of nic: BAR 0 is memory at 80000000, size 20000\s+core: STOP: PCI 0:2.0 of nic: the configuration says memory at 80020000, size 20000"),
    (".device = 0x100e", ".device = 0x100f", r"STOP: PCI 0:2.0 of nic: there is 8086:100e, the configuration says 8086:100f"),
    (".reset_required = 0", ".reset_required = 1", r"PCI 0:2.0 of nic: it knows no function-level reset: it stays blocked"),
], ids=["iommu", "bar", "id", "reset"])
def test_what_is_not_as_the_configuration_says(machine, tmp_path, old, new, words):
    m = machine(image.rebuilt("nic", tmp_path, old, new), files=image.payloads("nic"), memory=1024, overrides=NIC)
    m.wait_for(words, timeout=40, on="e9")
    if "blocked" in words:
        m.wait_for(r"^\[nic\] nic: WRONG: device: ffffffff", timeout=40, on="e9")


@pytest.mark.time_limit(90)
def test_started_again_without_a_reset(machine):
    """A partition that ended with its device at work. The device is quiet from then on, by the emulator's own log; it knows no reset, so that
    it stays blocked, with a record; and all that in steps below W. Beside it, one whose registers are smaller than a page."""
    m = image.boot(machine, "nic_again", memory=1024, overrides=[NIC[0] + ", slot2=usb_ehci", NIC[1], "usb_ehci: enabled=1",
                                                                          "debug: action=ignore, e1000a=report"])
    m.wait_for(r"^\[nic\] RESULT nicagain device ffffffff command ffffffff", timeout=70, on="e9")
    stay = m.wait_for(r"^\[core\] nic: vCPU 0 stopped: .* longest stay in root mode (\d+) ticks", timeout=20, on="e9")
    m.wait_for(r"^\[reader\] AUDIT .* end by its own call", timeout=20, on="e9")
    assert int(stay[1]) < W
    assert re.findall(r"^\[nic\] nicagain: (.*?)\r?$", m.e9, re.MULTILINE) == \
        ["device 100e8086 command 0", "small BAR at c0020000: 1000020", "command 6, ends"]
    assert m.e9.count("PCI 0:2.0 of nic: it knows no function-level reset: it stays blocked") == 1
    assert [(r.kind, r.partition, r.a, r.b) for r in auditfile.read(m.e9.encode()).records if r.event == BLOCKED] == \
        [(1, 1, 0x10, 0), (1, 1, 0x1f, 0)]
    m.kill()
    with open(m.path("bochs.log"), encoding="utf-8", errors="replace") as log:
        commands = re.findall(r"\[E1000A\] write PCI register 0x04 value 0x([0-9A-F]+) ", log.read())
    assert commands[commands.index("0006") + 1] == "0400", "the next is the core's: no bus, no registers, no interrupt"
