# SPDX-License-Identifier: Apache-2.0
"""Devices: what they may reach and what not, in QEMU, whose remapping unit the core drives. tests/vtd/exerciser.c plays them."""

import re
import struct

import pytest

import image
import qemu

EDU = "edu,dma_mask=0xffffffffffffffff"
UNIT = "intel-iommu,intremap=on,caching-mode=on,aw-bits="
DEVICES = [f"{EDU},addr=4.0", f"{EDU},addr=5.0", "pcie-root-port,id=rp,chassis=1,addr=6.0", f"{EDU},bus=rp,addr=0.0",
           "nvme,addr=9.0,serial=1,drive=nvm", "e1000e,addr=a.0,romfile=",
           "ahci,id=hba,addr=b.0", "ide-hd,bus=hba.0,drive=sata"]
NOBODYS = [f"{EDU},addr=7.0", "pcie-root-port,id=rp2,chassis=2,addr=8.0", f"{EDU},bus=rp2,addr=0.0"]
DRIVE = ["-drive", "if=none,id=nvm,driver=null-co,size=1M", "-drive", "if=none,id=sata,driver=null-co,size=1M"]
# The DMA engines take 100 ms for each transfer: time that goes by instructions, and at once where nobody has any, makes that short.
QUICK = ["-icount", "shift=7,sleep=off"]


def boot(machine, width=48, unit=UNIT, devices=(), extra=(), name="devices"):
    units = [f"{unit}{width}"] if unit else []
    return image.boot(machine, name, emulator=qemu.Machine, cpus=3, devices=[*units, *devices], extra=[*QUICK, *(DRIVE if devices else []), *extra])


def stop(m, timeout=90):
    m.wait_for(r"^RESULT core (stop|panic)", timeout=timeout, on="e9")
    m.kill()
    return m.e9


@pytest.mark.time_limit(200)
def test_isolation(machine):
    """Every combination of device, frame and direction; stale entries; interrupts. Then VMX is missing, and that is a refusal."""
    log = stop(boot(machine, devices=DEVICES + NOBODYS), timeout=150)
    assert "WRONG" not in log
    total = re.search(r"exerciser: (\d+) combinations, (\d+) fault records, 0 wrong", log)
    assert total and int(total[1]) >= 500 and int(total[2]) >= 500, log
    assert len(re.findall(r"exerciser: device \w+ of \w+: \d+ combinations, 0 wrong", log)) == 5
    assert len(re.findall(r"without invalidation: stale, with it: blocked: yes", log)) == 2
    assert "exerciser: bus mastering off: 0 functions left on" in log
    arrived = re.findall(r"exerciser: (.*): arrived", log)
    assert arrived == ["MSI with its own index", "MSI with its own index and a subhandle", "MSI of that other device",
                       "I/O APIC through its entry"]
    assert len(re.findall(r"exerciser: .*: blocked, ", log)) == 7
    assert re.search(r"exerciser: NVMe controller reset in 1\d\d ms, control 460001 before, 0 after", log), log
    assert "exerciser: a fault wakes a CPU that sleeps without interrupts" in log
    core = int(re.search(r"core at (\w+), \d+ KiB", log)[1], 16)
    told = re.findall(r"device 0:5\.0: blocked (\w+) at (\w+): (.*?)\r?$", log, re.MULTILINE)
    assert told == [("write", f"{core + n * 4096:x}", "no right to write there") for n in range(32)] + \
        [("read", f"{core:x}", "no right to read there")]
    assert log.count("more faults of devices are not told") == 1
    assert "core: STOP: this machine cannot carry Bulkhead" in log
    print(total[0])


@pytest.mark.time_limit(150)
def test_three_levels(machine):
    """A unit that knows 39 bits only: the tables lose their first level."""
    log = stop(boot(machine, width=39, devices=DEVICES), timeout=120)
    assert "1 remapping units on, 3 levels" in log
    assert re.search(r"exerciser: \d+ combinations, \d+ fault records, 0 wrong", log) and "WRONG" not in log


REFUSED = r"core: STOP: the configuration requires that devices are confined \(iommu\)\. DMAR, at (\w+): (.*)"


@pytest.mark.time_limit(100)
def test_no_unit(machine):
    assert re.search(REFUSED, stop(boot(machine, unit=None)))[2].strip() == "is missing"


@pytest.mark.time_limit(100)
def test_no_interrupt_remapping(machine):
    log = stop(boot(machine, unit="intel-iommu,intremap=off,caching-mode=on,aw-bits="))
    assert re.search(REFUSED, log)[2].strip() == "the platform says that it cannot remap interrupts"


@pytest.mark.time_limit(100)
def test_absent_where_that_is_allowed(machine):
    """A machine without a remapping unit and without memory-mapped configuration space, but with VT-x: the partition runs."""
    m = image.boot(machine, "absent")
    m.wait_for(r"^\[hello\] RESULT hello", timeout=80, on="e9")
    assert "*** DMA isolation is ABSENT: any device can read and write all memory" in m.e9
    assert re.search(r"\d+ PCI functions, none may use the bus", m.e9)


# ---- what firmware can get wrong ------------------------------------------------------------------------------------

def structure(kind, body):
    return struct.pack("<HH", kind, 4 + len(body)) + body


def unit_at(registers, flags=0, segment=0, scopes=b""):
    return structure(0, struct.pack("<BBHQ", flags, 0, segment, registers) + scopes)


def region(base, limit):
    return structure(1, struct.pack("<HHQQ", 0, 0, base, limit))


def scope(path, kind=1, bus=0):
    return struct.pack("<BBHBB", kind, 6 + len(path), 0, 0, bus) + bytes(path)


GOOD = unit_at(0xFED90000, flags=1)
BAD = {
    "no unit": (b"", "it lists no remapping unit"),
    "a length beyond the end": (GOOD + struct.pack("<HHQ", 0, 200, 0), "a structure has a wrong length"),
    "no registers": (unit_at(0), "a remapping unit's registers are at an impossible address"),
    "the same registers twice": (GOOD + unit_at(0xFED90000), "two remapping units have the same registers"),
    "two units for all": (GOOD + unit_at(0xFED91000, flags=1), "two remapping units take all devices of a segment"),
    "registers in memory": (unit_at(0x10000000, flags=1), "its registers are memory: a fault of the firmware"),
    "registers of nobody": (unit_at(0xFED80000, flags=1), "its registers do not answer"),
    "a scope beyond its unit": (unit_at(0xFED90000, scopes=b"\x01\x40" + bytes(6)), "a device scope has a wrong length"),
    "an absurd path": (unit_at(0xFED90000, scopes=scope([99, 0])), "a device scope's path has an impossible step"),
    "a region backwards": (GOOD + region(0x8000000, 0x7FFFFFF), "a reserved region is empty or not made of pages"),
    "a device in two units": (unit_at(0xFED90000, scopes=scope([4, 0])) + unit_at(0xFED91000, scopes=scope([4, 0])),
                              "a device is in the scopes of two remapping units"),
    "too many units": (b"".join(unit_at(0xFED00000 + n * 4096) for n in range(17)), "too many remapping units"),
}


@pytest.mark.time_limit(100)
@pytest.mark.parametrize("what", BAD)
def test_bad_table(machine, tmp_path, what):
    body, expected = BAD[what]
    table = b"DMAR" + struct.pack("<IBB6s8sI4sI", 48 + len(body), 1, 0, b"BULKHD", b"BADTABLE", 1, b"TEST", 1) + \
        struct.pack("<BB10x", 38, 1) + body
    (tmp_path / "dmar.bin").write_bytes(table)
    log = stop(boot(machine, unit=None, extra=["-acpitable", f"file={tmp_path}/dmar.bin"]))
    assert re.search(REFUSED, log)[2].strip() == expected
