# SPDX-License-Identifier: Apache-2.0
"""The configuration tool: good configurations build, bad ones are refused with file, line and cause.

tests/config/*.yaml are bad, one each; a line '# expect: LINE: TEXT' says what the refusal must begin with after the
file's name. What would be too big or too odd for a file in the repository is made here.
"""
import os
import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", "build"))
TOOL = BUILD / "mkconfig-sanitized"
BAD = sorted((ROOT / "tests/config").glob("*.yaml"))
MODES = ROOT / "tests/config/good/modes.yaml"
HEAD = "name: made\nboard: {cpus: 2, memory: 512 MiB}\npartitions:\n"
KIT = HEAD + "  - name: one\n    cpus: [0]\n    memory: 1 MiB\n    boot: {kit: one.elf}\n"
KIT_LINE = 7
LINUX = HEAD + "  - name: one\n    cpus: [0, 1]\n    memory: 128 MiB\n    boot:\n      linux:\n" \
    "        kernel: vmlinuz\n        initrd: initrd\n        cmdline: console=ttyS0\n"
KERNEL_LINE, INITRD_LINE, CMDLINE_LINE = 9, 10, 11
TIME_LIMIT = 60


@pytest.fixture(scope="session", autouse=True)
def tool():
    targets = [str(TOOL), str(BUILD / "dsdt.aml")]
    subprocess.run(["make", "-s", "-f", "tools/mkconfig/mkconfig.mk", f"BUILD={BUILD}", *targets], cwd=ROOT, check=True,
                   timeout=300)


def run(*arguments):
    return subprocess.run([str(TOOL), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, errors="replace",
                          timeout=TIME_LIMIT)


def refused(result, file, line, cause):
    """One line on stderr, the right one, and status 1."""
    assert result.returncode == 1, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    where = rf"error: {re.escape(str(file))}:(\d+): (.*)"
    match = re.fullmatch(where, lines[0])
    assert match, lines[0]
    assert int(match[1]) == line, lines[0]
    assert match[2].startswith(cause) if isinstance(cause, str) else cause.search(match[2]), lines[0]


def build(tmp_path, yaml, **files):
    """Build a made configuration with the given files beside it. Returns result, its path, and the output directory."""
    (tmp_path / "made.yaml").write_text(yaml)
    for name, data in files.items():
        (tmp_path / name.replace("_", ".")).write_bytes(data)
    out = tmp_path / "out"
    result = run("build", tmp_path / "made.yaml", "--root", tmp_path, "--out", out, "--dsdt", BUILD / "dsdt.aml")
    if result.returncode != 0:
        assert not out.exists(), "a refused configuration leaves no output"
    return result, tmp_path / "made.yaml", out


def elf(segments=((0x10000, b"\xf4" * 16, 32, 5),), entry=0x10000, kind=2, machine=62, bits=2):
    """A static ELF64 file: (address, bytes, size in memory, flags) a segment."""
    offset = 64 + 56 * len(segments)
    header = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    table = body = b""
    for address, data, size, flags in segments:
        table += struct.pack("<IIQQQQQQ", 1, flags, offset + len(body), address, address, len(data), size, 4096)
        body += data
    return header + table + body


def kernel(code=bytes(64 << 10), **fields):
    """A bzImage that is all header."""
    values = {"sects": 3, "flag": 0xAA55, "magic": b"HdrS", "version": 0x20F, "loadflags": 1, "initrd_max": 0x7FFFFFFF,
              "alignment": 0x200000, "relocatable": 1, "xloadflags": 1, "cmdline": 2047, "pref": 0x1000000,
              "init": 0x200000}
    values.update(fields)
    image = bytearray((values["sects"] + 1) * 512)
    image[0x1F1] = values["sects"]
    struct.pack_into("<I", image, 0x1F4, len(code) // 16)
    struct.pack_into("<H", image, 0x1FE, values["flag"])
    image[0x200:0x202] = b"\xeb\x6a"
    image[0x202:0x206] = values["magic"]
    struct.pack_into("<H", image, 0x206, values["version"])
    image[0x211] = values["loadflags"]
    struct.pack_into("<I", image, 0x22C, values["initrd_max"])
    struct.pack_into("<I", image, 0x230, values["alignment"])
    image[0x234] = values["relocatable"]
    struct.pack_into("<H", image, 0x236, values["xloadflags"])
    struct.pack_into("<I", image, 0x238, values["cmdline"])
    struct.pack_into("<Q", image, 0x258, values["pref"])
    struct.pack_into("<I", image, 0x260, values["init"])
    return bytes(image) + code


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_bad(path, tmp_path):
    expect = re.search(r"^# expect: (\d+): (.*)$", path.read_text(), re.M)
    out = tmp_path / "out"
    name = path.relative_to(ROOT)
    refused(run("build", name, "--root", "build", "--out", out), name, int(expect[1]), expect[2])
    assert not out.exists()


def test_there_are_enough_bad_ones():
    assert len(BAD) >= 100


@pytest.mark.parametrize("name", ["demo", "reference", "scheduled"])
def test_shipped_configurations_are_good(name, tmp_path):
    assert run("check", f"config/{name}.yaml").returncode == 0
    plan = run("plan", f"config/{name}.yaml", "--svg", tmp_path / "plan.svg")
    assert plan.returncode == 0 and "linux" in plan.stdout
    shared = name == "scheduled"  # local APIC and deadline are the core's on CPUs that partitions share
    assert ("MSRs        16 direct" in plan.stdout, "MSRs        52 direct" in plan.stdout) == (shared, not shared)
    subprocess.run([os.sys.executable, "-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])",
                    str(tmp_path / "plan.svg")], check=True, timeout=TIME_LIMIT)
    inputs = run("inputs", f"config/{name}.yaml", "--root", "build")
    assert inputs.stdout.splitlines()[0] == "build/payload/vmlinuz"


@pytest.mark.parametrize("text,line,cause", [
    (b"", 1, "the file holds no configuration"),
    (b"# only a comment\n\n", 1, "the file holds no configuration"),
    (b"name: a\nboard: \x00\n", 2, "byte 0x00 at offset 15: this is not a text file"),
    (b"\xc3\x28" * 8, 1, "not UTF-8 text"),
    (b"name: [" * 50000, 1, "/"),
    (b"x" * 200000, 1, "a configuration begins with"),
    (b"name: made\nboard: {cpus: 2, memory: 512 MiB}\npartitions: [" + b"{}," * 65 + b"]\n", 3, re.compile("name")),
], ids=["empty", "comment", "nul", "bytes", "nested", "one-word", "many-partitions"])
def test_odd_files(text, line, cause, tmp_path):
    file = tmp_path / "odd.yaml"
    file.write_bytes(text)
    if cause == "/":
        cause = re.compile(".")
        line = int(run("check", file).stderr.split(":")[2])
    refused(run("check", file), file, line, cause)


def test_noise(tmp_path):
    """1 MB of noise; smaller noise, so that the parser sees some; and a good file with bytes changed."""
    rng = random.Random(1)
    file = tmp_path / "noise.yaml"
    file.write_bytes(rng.randbytes(1 << 20))
    refused(run("check", file), file, 1, f"{file} is 1048576 bytes; the limit is 262144")
    for size in (1, 100, 10000, 200000):
        file.write_bytes(rng.randbytes(size))
        result = run("check", file)
        assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr
        file.write_bytes(bytes(rng.choice(b"abc:-[]{}&*!|>'\"#% ,\n?") for _ in range(size)))
        result = run("check", file)
        assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr
    good = [(ROOT / "config/reference.yaml").read_bytes(), MODES.read_bytes()]
    for i in range(300):
        bad = bytearray(good[i % 2])
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.choice(b"\n :-{}[]x0,~")
        file.write_bytes(bad)
        result = run("check", file)
        assert result.returncode in (0, 1), result.stderr
        assert result.stderr.count("\n") == result.returncode, result.stderr


COMPILE = ["gcc", "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-ffreestanding",
           f"-I{ROOT}"]
PRINT_TIME = """
#include <stdio.h>
#include "config/config.h"
int main(void)
{
	for (unsigned i = 0; i < config.cpu_count; i++) {
		printf("cpu %u:", config.cpus[i].scheduled);
		for (unsigned j = 0; j < config.cpus[i].slot_count; j++)
			printf(" %u.%u", config.cpus[i].slots[j].partition, config.cpus[i].slots[j].vcpu);
		puts("");
	}
	for (unsigned i = 0; i < config.partitions[0].vcpu_count; i++) {
		const struct config_vcpu *v = &config.partitions[0].vcpus[i];
		printf("vcpu %u.%u %u %u %u %u\\n", v->cpu, v->slot, v->priority, v->background, v->budget, v->period);
	}
	for (unsigned s = 0; s < config.schedule_count; s++)
		for (unsigned i = 0; i < config.cpu_count; i++) {
			const struct config_frame *f = &config.schedules[s].frames[i];
			printf("%s %u:", config.schedules[s].name, f->length);
			for (unsigned j = 0; j < f->window_count; j++)
				printf(" %u+%u %u", f->windows[j].start, f->windows[j].length, f->windows[j].partition);
			puts("");
		}
	printf("guard %u flush %u calls %lx rate %u\\n", config.guard, config.flush, config.partitions[2].hypercalls,
	       config.partitions[1].rate_period);
	printf("sizes %d %d %d %d %d\\n", CONFIG_VCPUS, CONFIG_VCPUS_PER_CPU, CONFIG_SCHEDULED_CPUS, CONFIG_SCHEDULES,
	       CONFIG_WINDOWS_MAX);
}
"""


def test_tables_of_time(tmp_path):
    """What the file says of CPUs, windows, budgets and modes arrives in the tables, in order."""
    (tmp_path / "print.c").write_text(PRINT_TIME)
    good = MODES.read_text().replace("{linux: {kernel: payload/vmlinuz}}", "{kit: one.elf}").replace("guest/rt", "one")
    result, _, out = build(tmp_path, good, one_elf=elf())
    assert result.returncode == 0, result.stderr
    subprocess.run([*COMPILE, "-fhosted", "-include", out / "config_sizes.h", tmp_path / "print.c", out / "config.c",
                    "-o", tmp_path / "print"], check=True, timeout=TIME_LIMIT)
    lines = subprocess.run([tmp_path / "print"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[:4] == ["cpu 1: 0.0 0.1 1.0", "cpu 0:", "cpu 1: 0.2 2.0 3.0", "cpu 0: 0.3"]
    assert lines[4:8] == ["vcpu 0.0 0 0 2000 10000", "vcpu 0.1 1 0 3000 10000", "vcpu 2.0 0 0 6000 10000",
                          "vcpu 3.0 0 0 0 0"]
    assert lines[8] == "normal 10000:" + "".join(f" {t}+200 1 {t + 220}+750 0" for t in range(0, 10000, 1000))
    assert lines[9:12] == ["normal 0:", "normal 10000: 0+6000 0 6500+1000 3 8000+500 2", "normal 0:"]
    assert lines[12] == "degraded 5000:" + "".join(f" {t}+200 1" for t in range(0, 5000, 1000))
    assert lines[13:16] == ["degraded 0:", "degraded 5000: 0+4000 2", "degraded 0:"]
    assert lines[16:] == ["guard 20 flush 3 calls 20 rate 1000", "sizes 7 3 2 2 20"]


def test_plan_of_time(tmp_path):
    plan = run("plan", MODES, "--svg", tmp_path / "plan.svg")
    assert plan.returncode == 0, plan.stderr
    text = plan.stdout
    assert "  2   linux vCPU 2, monitor vCPU 0, fusion vCPU 0, scheduled\n  3   linux, vCPU 3, dedicated\n" in text
    assert "schedule normal, CPU 0, frame 10 ms\n    " + "BBAAAAAAAA" * 10 + "\n" in text
    for line in ("A  linux            75.0 %  750 us every 1 ms from 220 us",
                 "vCPU 1: priority 1, budget 3 ms per 10 ms",
                 "B  loop             20.0 %  200 us every 1 ms from 0 us; asks for 1 kHz",
                 "C  monitor           5.0 %  8 ms to 8.5 ms, and slack",
                 "-  (guard)           0.6 %  20 us after each",
                 ".  (slack)          24.4 %", "schedule degraded, CPU 2, frame 5 ms", "set schedule"):
        assert line in text, line
    picture = (tmp_path / "plan.svg").read_text()
    assert picture.count('fill="url(#guard)" />') == 20 + 3 + 5 + 1, "a hatched guard after each window"
    assert "vCPU 1: priority 1, budget 3 ms per 10 ms" in picture


@pytest.mark.parametrize("change,good", [
    (("guard: 20 us\n", ""), True),
    (("flush: [l1d, buffers]\n", ""), True),
    (("flush: [l1d, buffers]", "flush: []"), True),
    (("start: 8 ms, length: 500 us", "start: 8 ms, length: 1980 us"), True),
    (("start: 8 ms, length: 500 us", "start: 8 ms, length: 1981 us"), False),
    (("start: 6500 us, length: 1 ms", "start: 6020 us, length: 1960 us"), True),
    (("start: 6500 us, length: 1 ms", "start: 6019 us, length: 1960 us"), False),
    (("3 ms per 10 ms", "5500 us per 10 ms"), True),
    (("3 ms per 10 ms", "5501 us per 10 ms"), False),
    (("2 ms per 10 ms", "300 us per 1 ms"), True),
    (("2 ms per 10 ms", "2 ms per 20 ms"), True),
    (("rate: 1 kHz", "rate: 200 Hz"), True),
    (("rate: 1 kHz", "rate: 500 Hz"), False),
    (("rate: 1 kHz", "rate: 2 kHz"), False),
    (("unlimited]", "1 ms per 10 ms]"), False),
    (("[0, 1, 0, 0]", "[1, 0, 0, 0]"), True),
], ids=lambda v: re.sub(r"\W+", "-", f"{v[0]}-{v[1]}")[:60] if isinstance(v, tuple) else "")
def test_limits_of_time(change, good, tmp_path):
    """Just inside and just outside."""
    text = MODES.read_text()
    assert change[0] in text
    (tmp_path / "made.yaml").write_text(text.replace(*change))
    result = run("check", tmp_path / "made.yaml")
    assert result.returncode == (0 if good else 1) and result.stderr.count("\n") == result.returncode, result.stderr


WRONG_BUILDER = """
#include "ept/pagetable.h"
typedef enum pt_result builder(const struct pt_format *, struct pt_pool *, uint64_t, uint64_t, uint64_t, uint32_t,
                               uint32_t);
builder __real_pt_map, __wrap_pt_map;
enum pt_result __wrap_pt_map(const struct pt_format *format, struct pt_pool *pool, uint64_t in, uint64_t out,
                             uint64_t size, uint32_t rights, uint32_t max_shift)
{
	if (format == &pt_format_ept)
		ERROR;
	return __real_pt_map(format, pool, in, out, size, rights, max_shift);
}
"""


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("error,cause", [
    ("out += 0x1000", "a leaf reaches a frame that is not allowed there"),
    ("rights |= 2", "a leaf gives other rights than declared"),
    ("size -= 0x1000", "a declared page is not mapped"),
], ids=["foreign-frame", "too-many-rights", "missing-page"])
def test_walker_objects_to_a_wrong_builder(error, cause, tmp_path):
    """The proof is one: with a page-table builder that errs, the tool refuses a good configuration."""
    wrong = tmp_path / "wrong.c"
    wrong.write_text(WRONG_BUILDER.replace("ERROR", error))
    subprocess.run(["make", "-s", "-f", "tools/mkconfig/mkconfig.mk", f"BUILD={tmp_path}",
                    f"HOSTCC=gcc -I. -Wl,--wrap=pt_map {wrong}", str(tmp_path / "mkconfig")], cwd=ROOT, check=True,
                   timeout=200)
    result = subprocess.run([str(tmp_path / "mkconfig"), "check", "config/reference.yaml"], cwd=ROOT, text=True,
                            capture_output=True, timeout=TIME_LIMIT)
    assert result.returncode == 1 and "the page-table walker objects to" in result.stderr and cause in result.stderr


def test_missing_file_and_misuse(tmp_path):
    refused(run("check", tmp_path / "none.yaml"), tmp_path / "none.yaml", 1, "cannot open")
    assert run("--help").returncode == 0
    for arguments in (["check"], ["bake", "x.yaml"], ["check", "a", "b"], ["build", "config/demo.yaml"],
                      ["check", "--out"]):
        result = run(*arguments)
        assert result.returncode in (1, 2) and "Sanitizer" not in result.stderr


def test_kit_builds(tmp_path):
    result, _, out = build(tmp_path, KIT, one_elf=elf())
    assert result.returncode == 0, result.stderr
    image = (out / "esp/one.img").read_bytes()
    assert image.startswith(b"\xf4" * 16)
    assert image.find(struct.pack("<II", 0x4B495442, 2)) >= 0
    digest = subprocess.run(["sha256sum", out / "esp/one.img"], capture_output=True, text=True, check=True).stdout[:64]
    table = re.sub(r"\s|0x|,", "", re.search(r"\.sha256 = \{(.*?)\}", (out / "config.c").read_text(), re.S)[1])
    assert table == digest
    again = tmp_path / "again"
    again.mkdir()
    build(again, KIT, one_elf=elf())
    for name in ("config.c", "config_sizes.h", "allow.txt", "esp/one.img"):
        assert (out / name).read_bytes() == (again / "out" / name).read_bytes(), "the output is reproducible"
    subprocess.run([*COMPILE, "-c", out / "config.c", "-o", tmp_path / "config.o"], check=True, timeout=TIME_LIMIT)


@pytest.mark.parametrize("data,cause", [
    (b"", "is not an ELF file"),
    (b"MZ" + bytes(200), "is not an ELF file"),
    (elf()[:40], "is not an ELF file"),
    (elf()[:90], "is cut off within its program headers"),
    (elf()[:-1], ": segment 0 holds bytes 0x78 + 0x10 of a file of 0x87: it is cut off"),
    (elf(bits=1), "is not a 64-bit x86 ELF file"),
    (elf(machine=183), "is not a 64-bit x86 ELF file"),
    (elf(kind=3), "is not statically linked at fixed addresses"),
    (elf(segments=()), "has no program headers"),
    (elf(entry=0x20000), ": entry 0x20000 lies in no executable segment"),
    (elf(segments=((0x10000, b"x", 1, 6),)), ": entry 0x10000 lies in no executable segment"),
    (elf(segments=((0x10000, b"x", 1 << 20, 5),)),
     ": segment 0 needs memory 0x10000 + 0x100000; the partition has 0xfc000"),
    (elf(segments=((1 << 63, b"x", 1 << 63, 5),)), ": segment 0 needs memory 0x8000000000000000 + 0x8000000000000000"),
    (elf(segments=((0x10000, b"x" * 9, 8, 5),)), ": segment 0 holds bytes"),
    (elf(segments=((0x10000, b"x", 32, 5), (0x10010, b"y", 8, 6))), ": segments 0 and 1 overlap at 0x10010"),
    (elf(segments=tuple((0x10000 + i * 4096, b"x", 1, 5) for i in range(17))), "more than 16 pieces"),
], ids=lambda v: None if isinstance(v, bytes) else re.sub(r"\W+", "-", v)[:40])
def test_bad_elf(data, cause, tmp_path):
    result, file, _ = build(tmp_path, KIT, one_elf=data)
    refused(result, file, KIT_LINE, re.compile("^(" + re.escape(f"{tmp_path}/one.elf") + " ?)?" + re.escape(cause)))


def test_linux_builds(tmp_path):
    """The boot protocol's fields, the ACPI checksums, and where everything stands."""
    result, _, out = build(tmp_path, LINUX, vmlinuz=kernel(), initrd=b"\x5a" * 5000)
    assert result.returncode == 0, result.stderr
    table = (out / "config.c").read_text()
    pieces = [tuple(int(v, 16) for v in m) for m in
              re.findall(r"\.offset = (0x\w+), \.size = (0x\w+), \.gpa = (0x\w+)\}", table.split("_segments[]")[1])]
    image = (out / "esp/one.img").read_bytes()
    memory = {}
    for offset, size, gpa in pieces:
        memory[gpa] = image[offset:offset + size]
    assert sorted(memory) == [0x1000, 0xE0000, 0x1000000, (128 << 20) - 8192]
    params = memory[0x1000][0x1000:0x2000]
    assert params[0x202:0x206] == b"HdrS" and params[0x210] == 0xFF
    assert struct.unpack_from("<II", params, 0x218) == ((128 << 20) - 8192, 5000)
    assert struct.unpack_from("<I", params, 0x228)[0] == 0x3000
    assert memory[0x1000][0x2000:].startswith(b"console=ttyS0\0")
    assert struct.unpack_from("<Q", params, 0x70)[0] == 0xE0000
    ram = [struct.unpack_from("<QQI", params, 0x2D0 + 20 * i) for i in range(params[0x1E8])]
    assert ram == [(0, 0x9F000, 1), (0xA0000, 0x40000, 2), (0xE0000, 0x20000, 3), (0x100000, 127 << 20, 1)]
    check_acpi(memory[0xE0000], cpus=2)
    assert re.search(r"\.rip = 0x1000200, .*\.rsi = 0x2000,", table)


def check_acpi(area, cpus):
    def table(address, signature):
        start = address - 0xE0000
        data = area[start:start + struct.unpack_from("<I", area, start + 4)[0]]
        assert data[:4] == signature and sum(data) % 256 == 0
        return data
    assert area[:8] == b"RSD PTR " and sum(area[:20]) % 256 == 0 and sum(area[:36]) % 256 == 0
    xsdt = table(struct.unpack_from("<Q", area, 24)[0], b"XSDT")
    fadt, madt = struct.unpack_from("<QQ", xsdt, 36)
    fadt, madt = table(fadt, b"FACP"), table(madt, b"APIC")
    assert struct.unpack_from("<I", fadt, 112)[0] & (1 << 20 | 1 << 10) == 1 << 20 | 1 << 10
    table(struct.unpack_from("<Q", fadt, 140)[0], b"DSDT")
    assert [madt[44 + 8 * i + 3] for i in range(cpus)] == list(range(cpus)) and len(madt) == 44 + 8 * cpus


@pytest.mark.parametrize("changes,line,cause", [
    ({"vmlinuz": b""}, KERNEL_LINE, "is not a Linux kernel (bzImage): 0 bytes"),
    ({"vmlinuz": bytes(4096)}, KERNEL_LINE, "is not a Linux kernel"),
    ({"vmlinuz": kernel()[:600]}, KERNEL_LINE, "is not a Linux kernel"),
    ({"vmlinuz": kernel()[:-16]}, KERNEL_LINE, "is cut off: 67568 bytes, its header promises 67584"),
    ({"vmlinuz": kernel()[:0x300]}, KERNEL_LINE, "is cut off: 768 bytes"),
    ({"vmlinuz": kernel(code=b"")}, KERNEL_LINE, "is cut off"),
    ({"vmlinuz": kernel(magic=b"HdrX")}, KERNEL_LINE, "is not a Linux kernel"),
    ({"vmlinuz": kernel(version=0x20B)}, KERNEL_LINE, "speaks boot protocol 2.11; 2.12 is needed"),
    ({"vmlinuz": kernel(xloadflags=0)}, KERNEL_LINE, "has no 64-bit entry"),
    ({"vmlinuz": kernel(loadflags=0)}, KERNEL_LINE, "is a zImage"),
    ({"vmlinuz": kernel(pref=0x1000001)}, KERNEL_LINE, "prefers address 0x1000001"),
    ({"vmlinuz": kernel(pref=1 << 63)}, KERNEL_LINE, "needs 0x8000000000000000 + 0x200000 bytes"),
    ({"vmlinuz": kernel(alignment=0)}, KERNEL_LINE, "prefers address 0x1000000 with alignment 0x0"),
    ({"vmlinuz": kernel(init=0xFFFFFFFF)}, KERNEL_LINE,
     "needs 0x1000000 + 0xffffffff bytes to unpack itself; the partition has 0x8000000"),
    ({"initrd": bytes(120 << 20)}, INITRD_LINE,
     "is 125829120 bytes; between the kernel's end at 0x1200000 and 0x8000000 there is no room"),
    ({"vmlinuz": kernel(initrd_max=0x11FFFFF)}, INITRD_LINE,
     "is 5 bytes; between the kernel's end at 0x1200000 and 0x1200000"),
    ({"vmlinuz": kernel(cmdline=5)}, CMDLINE_LINE, "cmdline: 13 characters; this kernel takes 5"),
], ids=lambda v: re.sub(r"\W+", "-", v)[:40] if isinstance(v, str) else "")
def test_bad_linux(changes, line, cause, tmp_path):
    files = {"vmlinuz": kernel(), "initrd": b"12345", **changes}
    result, file, _ = build(tmp_path, LINUX, **files)
    refused(result, file, line, re.compile(r"(^| )" + re.escape(cause)))


def test_corrupt_payloads_never_crash_the_tool(tmp_path):
    rng = random.Random(2)
    good = {"one.elf": (KIT, elf()), "vmlinuz": (LINUX, kernel(code=bytes(1024)))}
    (tmp_path / "initrd").write_bytes(b"12345")
    for name, (yaml, data) in good.items():
        (tmp_path / "made.yaml").write_text(yaml)
        for _ in range(60):
            bad = bytearray(data[:rng.randrange(len(data))] if rng.random() < 0.3 else data)
            for _ in range(rng.randint(1, 8)):
                if bad:
                    start = 0x1F1 if name == "vmlinuz" and len(bad) > 0x264 else 0
                    bad[rng.randrange(start, min(len(bad), start + 120))] = rng.randrange(256)
            (tmp_path / name).write_bytes(bad)
            result = run("build", tmp_path / "made.yaml", "--root", tmp_path, "--out", tmp_path / "out", "--dsdt",
                         BUILD / "dsdt.aml")
            assert result.returncode in (0, 1), result.stderr
            assert result.stderr.count("\n") == result.returncode, result.stderr


def test_payload_too_big(tmp_path):
    big = elf(segments=((0x10000, bytes(2 << 20), 2 << 20, 5),))
    result, file, _ = build(tmp_path, KIT, one_elf=big)
    refused(result, file, KIT_LINE,
            f"{tmp_path}/one.elf: segment 0 needs memory 0x10000 + 0x200000; the partition has 0xfc000 free")


def test_payloads_too_big_for_the_board(tmp_path):
    tight = LINUX.replace("512 MiB", "192 MiB")
    result, file, _ = build(tmp_path, tight, vmlinuz=kernel(), initrd=b"")
    refused(result, file, 2,
            "the payload files, 0.1 MiB, do not fit beside the memories and the reserve, 192 MiB, in the board's")


def test_output_directory_not_writable(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "made.yaml").write_text(KIT)
    (tmp_path / "one.elf").write_bytes(elf())
    result = run("build", tmp_path / "made.yaml", "--root", tmp_path, "--out", tmp_path / "file/out")
    refused(result, tmp_path / "made.yaml", 1, f"cannot create directory {tmp_path}/file/out: Not a directory")
