# SPDX-License-Identifier: Apache-2.0
"""The boot path: from the image's file to the first partition, and what must stop it on the way."""

import os
import re
import shutil
import struct
import subprocess

import pytest

import bochs
import image
from conftest import TOP, built

HELLO_DONE = r"hello: vCPU 0 stopped: by its own call, after (\d+) exits"
CPUS = ["tigerlake", "corei7_ivy_bridge_3770k", "corei7_skylake_x"]


def hello(machine, **options):
    """Boots the configuration hello to its end and gives what was written."""
    m = image.boot(machine, "hello", **options)
    m.wait_for(r"^\[hello\] RESULT hello.*\n", timeout=60, on="e9")
    m.wait_for(HELLO_DONE, timeout=20, on="e9")
    m.kill()
    return m.e9


def refused(machine, by, name="hello", timeout=60, **options):
    """Boots what must not run and gives the message of `by`, boot or core."""
    m = image.boot(machine, name, **options)
    m.wait_for(rf"^RESULT {by} stop", timeout=timeout, on="e9")
    m.kill()
    assert "vCPU 0 starts" not in m.e9
    return re.search(rf"^{by}: STOP: (.*?)\r?$", m.e9, re.MULTILINE)[1]


@pytest.mark.time_limit(100)
@pytest.mark.parametrize("cpu", CPUS)
def test_hello_boots(machine, cpu):
    text = hello(machine, cpu=cpu)
    assert "[core] 1 CPUs, of which 1 are used" in text
    assert "[hello] hello from partition hello, 1024 KiB, on Bulkhead" in text
    assert re.search(r"payload \d+ bytes, digest right", text)
    assert 5 <= int(re.search(HELLO_DONE, text)[1]) <= 50, "CPUID, console and stop: each is an exit, and nothing else"


@pytest.mark.time_limit(100)
@pytest.mark.parametrize("cpu,ips", [("corei7_ivy_bridge_3770k", 20_000_000), ("corei7_ivy_bridge_3770k", 50_000_000),
                                     ("tigerlake", 33_000_000)])
def test_tsc_frequency(machine, cpu, ips):
    """Ivy Bridge has no CPUID leaf 15h: there the ACPI PM timer is what it is counted against."""
    text = hello(machine, cpu=cpu, ips=ips)
    core = int(re.search(r"TSC (\d+) kHz", text)[1])
    assert abs(core - ips / 1000) <= ips / 1000 / 100
    assert int(re.search(r"RESULT hello tsc_khz=(\d+)", text)[1]) == core, "the partition is told another frequency"


@pytest.mark.time_limit(150)
def test_two_runs_are_equal_to_the_tick(machine):
    first, second = hello(machine), hello(machine)
    assert len(re.findall(r"\d+ ticks", first)) >= 4
    assert first == second


# ---- payload files --------------------------------------------------------------------------------------------------

def changed_payload(tmp_path, name, change):
    (source, file), = (f for f in image.payloads(name) if f[1] == "hello.img" or f[1] == "left.img")
    with open(source, "rb") as f:
        content = change(f.read())
    (tmp_path / file).write_bytes(content)
    return str(tmp_path / file), len(content)


@pytest.mark.time_limit(90)
def test_payload_missing(machine):
    message = refused(machine, "boot", files=[])
    assert message == "cannot open payload file hello.img (not found); copy it into the boot volume's root directory"


@pytest.mark.time_limit(90)
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:512], lambda b: b""],
                         ids=["truncated-by-one", "longer-by-one", "truncated", "empty"])
def test_payload_of_another_size(machine, tmp_path, change):
    right = os.path.getsize(image.payloads("hello")[0][0])
    file, size = changed_payload(tmp_path, "hello", change)
    message = refused(machine, "boot", files=image.payloads("hello", hello=file))
    assert message.startswith(f"payload file hello.img has {size} bytes, the configuration says {right};")


@pytest.mark.time_limit(90)
def test_payload_is_a_directory(machine, tmp_path):
    """As near as a FAT volume comes to a file that cannot be read."""
    esp = str(tmp_path / "esp.img")
    bochs.make_esp(esp, [(image.path("hello"), "EFI/BOOT/BOOTX64.EFI")])
    subprocess.run([bochs.tool_path("mmd"), "-i", esp, "::/hello.img"], check=True,
                   env=dict(os.environ, MTOOLSRC=os.devnull))
    m = machine(esp=esp)
    m.wait_for(r"^RESULT boot stop", timeout=60, on="e9")
    assert re.search(r"^boot: STOP: cannot read payload file hello\.img \([a-z ]+\); check the boot volume", m.e9,
                     re.MULTILINE)


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("at", [0, -1], ids=["first-byte", "last-byte"])
def test_payload_corrupted(machine, tmp_path, at):
    """One bit: that partition is not entered, and the other runs."""
    def flip(content):
        content = bytearray(content)
        content[at] ^= 1
        return content

    file, _ = changed_payload(tmp_path, "boot_two", flip)
    m = image.boot(machine, "boot_two", files=image.payloads("boot_two", left=file), cpus=2)
    m.wait_for(r"^\[right\] RESULT hello", timeout=80, on="e9")
    m.wait_for(r"left: vCPU 0 stopped: its payload is not the one it was configured with, after 0 exits", timeout=20,
               on="e9")
    m.kill()
    assert re.search(r"left: payload \d+ bytes, digest WRONG", m.e9)
    assert re.search(r"right: payload \d+ bytes, digest right", m.e9)
    assert "left: vCPU 0 starts" not in m.e9 and "[left]" not in m.e9


# ---- configuration --------------------------------------------------------------------------------------------------

ALL_RIGHTS = ".rights = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC"


@pytest.mark.time_limit(150)
@pytest.mark.parametrize("old,new,text", [
    (ALL_RIGHTS, ".rights = RIGHT_WRITE",
     "a map's rights lack read, write and execute a shared memory, or do more than read one that the core writes"),
    (".gpa = 0x10000}", ".gpa = 0xff000}",
     "a payload segment lies outside the payload or outside the partition's memory"),
    (".version = CONFIG_VERSION", ".version = CONFIG_VERSION + 1",
     "the tables are of another version than this build"),
], ids=["rights", "segment", "version"])
def test_loader_refuses_bad_tables(machine, tmp_path, old, new, text):
    message = refused(machine, "boot", efi=image.rebuilt("hello", tmp_path, old, new))
    assert message.startswith(f"the configuration breaks a rule: {text} (partition ")
    assert message.endswith("; rebuild the image with tables from tools/mkconfig")


@pytest.mark.time_limit(90)
def test_core_refuses_bad_tables(machine, tmp_path):
    """The loader's tables are right and the core's are not: config_validate() runs a second time there."""
    address = image.symbols("hello")["config"] + 4
    message = refused(machine, "core", efi=image.patched("hello", tmp_path / "bad.efi", address, b"\x02"))
    assert message.startswith("configuration: the tables are of another version than this build (partition ")


# ---- ACPI -----------------------------------------------------------------------------------------------------------

def behind_noacpi(tmp_path, damage):
    """hello started by tests/noacpi, which explains the text `damage`."""
    text = tmp_path / "DAMAGE.TXT"
    text.write_text(damage)
    files = [(image.path("hello"), "BULKHEAD.EFI"), (str(text), text.name), *image.payloads("hello")]
    return {"efi": built("noacpi"), "files": files}


def damaged(machine, tmp_path, damage, by="core", **options):
    """Boots hello with the ACPI tables damaged."""
    return refused(machine, by, **behind_noacpi(tmp_path, damage), **options)


@pytest.mark.time_limit(90)
def test_no_acpi(machine, tmp_path):
    message = damaged(machine, tmp_path, "remove", by="boot")
    assert message == "the firmware has no ACPI tables; enable ACPI in its settings"


@pytest.mark.time_limit(90)
@pytest.mark.parametrize("damage,message", [
    ("RSDP 0008 01 -", r"ACPI root: table RSDP at \w+, offset 8: has a wrong checksum"),
    ("XSDT 0009 01 -", r"ACPI root: table XSDT at \w+, offset 9: has a wrong checksum"),
    ("XSDT 0006 ff -", r"ACPI root: table XSDT at \w+, offset 4: has a wrong length"),
    ("APIC 0009 01 -", r"CPUs: table APIC at \w+, offset 9: has a wrong checksum"),
    ("APIC 002d 08 +", r"CPUs: table APIC at \w+, offset 44: has a wrong length"),
    ("APIC 0000 01 +", r"CPUs: table APIC at \w+, offset 0: is missing"),
    ("APIC 0030 01 +", r"CPUs: table APIC at \w+, offset 44: is missing"),
])
def test_acpi_damaged(machine, tmp_path, damage, message):
    """A choice, on a real firmware's tables; tests/host/test_acpi.c has every way."""
    assert re.fullmatch(message, damaged(machine, tmp_path, damage + "\n"))


@pytest.mark.time_limit(120)
def test_boot_cpu_not_in_madt(machine, tmp_path):
    assert damaged(machine, tmp_path, "APIC 0030 01 +\n", cpus=2, timeout=90) == (
        "the MADT does not list the boot CPU, APIC ID 0: the firmware's tables are wrong")


@pytest.mark.time_limit(90)
def test_no_way_to_count_time(machine, tmp_path):
    """No CPUID leaf 15h, and no FADT that would name the PM timer."""
    assert damaged(machine, tmp_path, "FACP 0009 01 -\n", cpu="corei7_ivy_bridge_3770k") == (
        "no frequency for the TSC: CPUID leaf 15h tells none, and there is no working ACPI PM timer")


@pytest.mark.time_limit(90)
def test_copied_acpi_tables_boot(machine, tmp_path):
    """What the tests above damage works undamaged: an exclusive-or with 0."""
    assert "TSC 20000 kHz" in hello(machine, **behind_noacpi(tmp_path, "APIC 0009 00 +\nFACP 0009 00 +\n"))


# ---- the image's file -----------------------------------------------------------------------------------------------

SECTION_CODE, SECTION_EXECUTE, SECTION_READ, SECTION_WRITE = 0x20, 0x20000000, 0x40000000, 0x80000000
NX_COMPAT, EFI_APPLICATION, AMD64, PE32_PLUS = 0x100, 10, 0x8664, 0x20B


def pe_header(data):
    """(optional header's offset, number of sections, size of the optional header)."""
    pe, = struct.unpack_from("<I", data, 0x3C)
    assert data[:2] == b"MZ" and data[pe:pe + 4] == b"PE\0\0"
    machine_type, sections = struct.unpack_from("<HH", data, pe + 4)
    assert machine_type == AMD64
    return pe + 24, sections, struct.unpack_from("<H", data, pe + 20)[0]


@pytest.mark.parametrize("name", ["hello", "boot_two", "demo"])
def test_image_file(name):
    with open(image.path(name), "rb") as f:
        data = f.read()
    optional, count, size = pe_header(data)
    magic, = struct.unpack_from("<H", data, optional)
    alignment, = struct.unpack_from("<I", data, optional + 32)
    subsystem, characteristics = struct.unpack_from("<HH", data, optional + 68)
    assert (magic, subsystem, alignment) == (PE32_PLUS, EFI_APPLICATION, 4096)
    assert characteristics & NX_COMPAT
    assert struct.unpack_from("<I", data, optional - 16)[0] == 0, "a time stamp"
    executable = []
    for n in range(count):
        at = optional + size + 40 * n
        section, virtual_size, address = struct.unpack_from("<8sII", data, at)
        flags, = struct.unpack_from("<I", data, at + 36)
        assert address % 4096 == 0 and virtual_size
        assert flags & SECTION_READ
        assert not (flags & SECTION_EXECUTE and flags & SECTION_WRITE), f"{section} is writable and executable"
        if flags & SECTION_EXECUTE:
            executable.append(section.rstrip(b"\0"))
    assert executable == [b".text"]
    assert data.count(struct.pack("<Q", 0x45524F434B4C5542)) >= 1, "the core is not in it"


@pytest.mark.time_limit(400)
def test_image_is_reproducible(tmp_path):
    """Two copies of the tree, at two places of different length, in two time zones, thirty years apart: the same bits."""
    faketime = os.path.join(bochs.cache_dir(), "qemu/root/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
    images = []
    for place, zone, date in (("a", "UTC", "2001-02-03 04:05:06"), ("another/place", "Asia/Tokyo", "2031-12-30 23:59:50")):
        when = {"LD_PRELOAD": faketime, "FAKETIME": "@" + date, "NO_FAKE_STAT": "1"} if os.path.isfile(faketime) else {}
        tree = tmp_path / place
        shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"),
                        copy_function=shutil.copy)
        image.make(str(tree), "-j2", "CONFIG=tests/system/trust.yaml", "image", TZ=zone, **when)
        out = tree / "build" / "trust"
        images.append((out / "bulkhead.efi").read_bytes() + (out / "esp" / "left.img").read_bytes())
    assert images[0] == images[1]
