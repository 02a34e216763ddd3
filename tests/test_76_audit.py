# SPDX-License-Identifier: Apache-2.0
"""The audit: what happens is recorded, a storm does not push it out, nobody but the core writes it, and it outlives a warm reset."""
import json
import os
import random
import re
import struct
import subprocess

import pytest

import auditfile
import image
from conftest import TOP

READER, MUTE, INTRUDER, SPOILED, NOTER = range(5)      # partitions of tests/system/audit.yaml
RATE = 8
STORM = 2000
SECURITY, SAFETY, USER = 1, 2, 3
BOOT, START, STOP, FAIL, DIGEST, SCHEDULE, PANIC, LOST, END, FORBIDDEN, REFUSED, NOTE = 1, 2, 3, 4, 6, 7, 9, 10, 11, 32, 33, 34
MEMORY, MSR, PORT, TRIPLE_FAULT, NO_CLASS = 1, 2, 3, 0, 63
BH_AUDIT, BH_EINVAL = 24, -3


@pytest.fixture(scope="module")
def printed():
    """What a run of tests/system/audit.yaml printed: one machine for all tests about it."""
    return {}


@pytest.fixture
def text(machine, printed, tmp_path):
    if "text" not in printed:
        spoiled = tmp_path / "spoiled.img"
        good = bytearray(open(dict(map(reversed, image.payloads("audit")))["spoiled.img"], "rb").read())
        good[100] ^= 1
        spoiled.write_bytes(good)
        m = image.boot(machine, "audit", cpus=2, files=image.payloads("audit", spoiled=str(spoiled)))
        m.wait_for(r"^\[reader\] AUDIT done", timeout=60, on="e9")
        printed["text"] = m.e9
    return printed["text"]


@pytest.fixture
def audit(text):
    return auditfile.read(text.encode())


def of(audit, event, partition=None):
    return [r for r in audit.records if r.event == event and partition in (None, r.partition)]


@pytest.mark.time_limit(90)
def test_what_happens_is_recorded(audit):
    assert {r.cpu for r in of(audit, BOOT)} == {0, 1}
    assert {(r.partition, r.cpu) for r in of(audit, START)} == {(READER, 0), (MUTE, 0), (INTRUDER, 0), (NOTER, 1)}
    assert [(r.kind, r.cpu) for r in of(audit, DIGEST, SPOILED)] == [(SECURITY, 0)]
    assert [(r.kind, r.a, r.b) for r in of(audit, FAIL, INTRUDER)] == [(SECURITY, MEMORY, 0xd0000000 + auditfile.HEADER.size)]
    assert [r.a for r in of(audit, END, MUTE)] == [3]
    assert [r.kind for r in of(audit, STOP, INTRUDER)] == [SAFETY]
    assert [(r.a, r.b, r.partition) for r in of(audit, SCHEDULE)] == [(1, 0, auditfile.CORE)]


def test_numbers_have_no_gap_and_times_go_on(audit):
    assert not audit.missed
    for cpu in (0, 1):
        records = [r for r in audit.records if r.cpu == cpu]
        assert [r.number for r in records] == list(range(len(records)))
    assert all(a.tsc <= b.tsc for a, b in zip(audit.records, audit.records[1:]))


def test_only_the_core_writes(text):
    """The intruder has the same right as the reader: its write ends it."""
    assert re.search(r"^\[core\] intruder: forbidden memory: write to guest-physical d0000\w+ ", text, re.MULTILINE)
    assert re.search(r"^\[core\] intruder: vCPU 0 stopped", text, re.MULTILINE)
    assert "AUDIT written" not in text


def test_edges_of_the_call(text, audit):
    results = {(int(a, 16), int(b, 16)): int(n) for a, b, n in re.findall(r"call=edge a=(\w+) b=(\w+) result=(-?\d+)", text)}
    assert {a: n for (a, _), n in results.items()} == {0: 0, 1: 0, 0xffffffff: 0, 1 << 32: BH_EINVAL, (1 << 63) - 1: BH_EINVAL, (1 << 64) - 1: BH_EINVAL}
    noted = {(r.a, r.b) for r in of(audit, NOTE, NOTER)}
    assert {key for key, n in results.items() if n == 0} <= noted


def test_without_the_right(text, audit):
    """Each call is refused; the first of them are recorded, all are counted."""
    assert f"RESULT noter mute refused={STORM}" in text
    refused = of(audit, REFUSED, MUTE)
    assert len(refused) == RATE and {r.a for r in refused} == {BH_AUDIT}
    lost = of(audit, LOST, MUTE)
    assert [r.a for r in lost] == [0, STORM + 1 - RATE] and {r.b for r in lost} == {1 << NO_CLASS}
    assert not of(audit, NOTE, MUTE)


def test_storms_are_kept_out_and_counted(text, audit):
    accepted, kept_out, forbidden = map(int, re.search(r"RESULT noter accepted=(\d+) refused=(\d+) forbidden=(\d+)", text).groups())
    assert (accepted, kept_out) == (RATE, STORM - RATE)
    assert forbidden == 2 * STORM + 1
    notes = [r for r in of(audit, NOTE, NOTER) if r.a >> 16 == 5]
    assert [r.b for r in notes] == list(range(RATE))
    seen = of(audit, FORBIDDEN, NOTER)
    assert len(seen) == RATE + 1 and {(r.a, r.b) for r in seen} == {(MSR, 0x12345), (PORT, 0x1234)}
    told = [(r.a, r.b) for r in of(audit, LOST, NOTER) if r.a]
    assert (2 * STORM - RATE, 1 << MSR | 1 << PORT) in told and (kept_out, 1 << NO_CLASS) in told
    # Nothing in silence: what the ring counts is what the records say.
    assert audit.lost[1] == sum(a for a, _ in told)
    assert audit.lost[0] == sum(r.a for r in of(audit, LOST, MUTE))
    # Both storms have left the other partitions' records where they were.
    assert of(audit, FAIL, INTRUDER) and of(audit, START, READER)


@pytest.mark.time_limit(120)
def test_warm_reset(machine):
    """A panic, the machine resets itself, and the next boot tells of the last; a reader there sees both boots."""
    m = image.boot(machine, "audit_panic", cpus=2)
    m.wait_for(r"^RESULT core panic", timeout=60, on="e9")
    at = m.mark()
    m.wait_for(r"^\[core\] last boot: CPU 1: 1: .*wild: start", timeout=60, on="e9", since=at)
    first, second = m.e9.split("RESULT core panic")[:2]
    assert "last boot" not in first
    reason = re.search(r"core: PANIC on CPU 1: (.*)", first)[1].strip()
    assert reason == "wild: triple fault, and its configuration says: halt the machine"
    assert f"last boot: PANIC on CPU 1: {reason}" in second
    assert re.search(r"last boot: CPU 1: boot 1, 4 records, 0 kept out by limits, ended by a panic", second)
    assert re.search(r"last boot: CPU 0: boot 1, 2 records, 0 kept out by limits, no panic", second)
    guest = re.search(r"GUEST_RIP (\w+)", first)[1]
    assert re.search(rf"last boot: exit reason 2, qualification 0, guest at {guest}\b", second)
    m.wait_for(r"^\[reader\] AUDIT 1 5 .*safety: start", timeout=60, on="e9", since=at)
    later = auditfile.read(m.e9.split("RESULT core panic")[1].encode())
    assert {r.a for r in of(later, BOOT)} == {1, 2}
    assert [(r.boot, r.a) for r in of(later, FAIL, 1)] == [(1, TRIPLE_FAULT)]
    assert [(r.boot, r.cpu) for r in of(later, PANIC)] == [(1, 1)]


# ---- counters pages ------------------------------------------------------------------------------------------------

@pytest.mark.time_limit(90)
def test_counters_pages(machine):
    """All vCPUs' counters, read without an exit: its own agree with the hypercall, the others' go on; writing there ends the writer."""
    m = image.boot(machine, "counters", cpus=2)
    m.wait_for(r"^\[reader\] COUNTERS done", timeout=60, on="e9")
    m.wait_for(r"^\[core\] intruder: vCPU 0 stopped", timeout=60, on="e9")
    text = m.e9
    forbidden, start, worst = ([int(n) for n in pair.split("/")] for pair in
                               re.search(r"own page=4 forbidden=(\d+/\d+) start=(\d+/\d+) worst=(\d+/\d+)", text).groups())
    assert forbidden == [1, 1] and start[0] == start[1] and 0 < worst[0] <= worst[1]
    pages = {}
    for line in re.findall(r"COUNTERS page=(.*)", text):
        words = [int(n) for n in re.findall(r"-?\d+", line)]
        pages.setdefault(words[0], []).append(dict(zip(("page", "cpu", "partition", "vcpu", "exits", "worst", "forbidden", "used", "idle"), words)))
    assert {n: (p[-1]["cpu"], p[-1]["partition"]) for n, p in pages.items()} == {0: (0, 0), 1: (0, 1), 2: (0, 2), 4: (1, 3)}
    for found in pages.values():
        for key in ("exits", "worst", "forbidden", "used", "idle"):
            assert all(a[key] <= b[key] for a, b in zip(found, found[1:]))
    assert pages[0][-1]["exits"] > 0 and pages[0][-1]["used"] > 0 and pages[0][-1]["idle"] > 0
    assert pages[2][-1]["forbidden"] == 1
    more = [[int(n) for n in words] for words in re.findall(r"COUNTERS more=(\d+) windows=(\d+) late=(\d+)", text)]
    assert max(w for n, w, _ in more if n == 0) > 10 and max(late for n, _, late in more if n == 0) > 0
    assert re.search(r"^\[core\] intruder: forbidden memory: write to guest-physical d0000000 ", text, re.MULTILINE)
    assert "COUNTERS written" not in text


# ---- the tool alone: no machine ------------------------------------------------------------------------------------

ENTRIES = 64


def seal(raw):
    return raw + struct.pack("<I", auditfile.check(raw))


def dump(*cpus, boot=1, panic=None):
    """A memory whose CPUs hold these records: (tsc, partition, class, event, b, a)."""
    stride, out = 4096 + ENTRIES * 32, b""
    for cpu, records in enumerate(cpus):
        part = seal(struct.pack("<6I2QI", auditfile.MAGIC, auditfile.VERSION, cpu, ENTRIES, stride, boot, 7, 1000, len(cpus)))
        part += struct.pack("<2Q", len(records), 5 * cpu)
        if panic and cpu == 0:
            part += seal(struct.pack("<12Q2I160sI", *range(12), boot, 14, panic, 0))
        part = part.ljust(4096, b"\0")
        ring = [bytes(32)] * ENTRIES
        for n, (tsc, partition, kind, event, b, a) in enumerate(records):
            ring[n % ENTRIES] = seal(struct.pack("<QIHBBQI", tsc, n + 1, partition, kind, event, b, a))
        out += part + b"".join(ring)
    return out


SMALL = dump([(10, 0xffff, 2, BOOT, 1000, 1), (30, 1, 1, FORBIDDEN, 0x1234, PORT)], [(20, 0, 3, NOTE, 5, 6)], panic=b"gone \x1b[2J wrong\0rest")


def tool(path, *arguments):
    return subprocess.run([os.path.join(TOP, "tools", "audit"), str(path), *arguments], capture_output=True, text=True, check=False)


def test_dump_as_text(tmp_path):
    (tmp_path / "dump").write_bytes(SMALL)
    run = tool(tmp_path / "dump")
    assert run.returncode == 0, run.stderr
    assert [line.split(" CPU ")[1] for line in run.stdout.splitlines()[:3]] == [
        "0 #0 safety: core: boot: generation 1, TSC kHz 1000", "1 #0 user: partition 0: note: 0x6 0x5",
        "0 #1 security: partition 1: forbidden: port, detail 0x1234"]
    assert "boot 1 ended by a panic on CPU 0: gone ?[2J wrong\n" in run.stdout
    assert "CPU 1: 5 records kept out by limits" in run.stdout


def test_dump_as_json(tmp_path):
    (tmp_path / "dump").write_bytes(SMALL)
    items = [json.loads(line) for line in tool(tmp_path / "dump", "--json").stdout.splitlines()]
    assert [i["type"] for i in items] == ["record"] * 3 + ["panic", "end"]
    assert [i["tsc"] for i in items[:3]] == [10, 20, 30]
    assert items[2] | {"who": 0} == items[2] | {"name": "forbidden", "class": "security", "a": PORT, "b": 0x1234, "boot": 1, "who": 0}


def test_ring_that_has_come_round(tmp_path):
    audit = auditfile.read(dump([(n, 0, 3, NOTE, n, n) for n in range(200)]))
    assert [r.number for r in audit.records] == list(range(200 - ENTRIES, 200))
    assert audit.missed == {0: 200 - ENTRIES}


@pytest.mark.parametrize("change,cause", [
    (lambda d: d[:100], "stands no header"),
    (lambda d: d[:5000], "the dump ends"),
    (lambda d: d[:8] + b"\1" + d[9:], "damaged"),
    (lambda d: b"\0" + d[1:], "neither a dump"),
    (lambda d: b"", "neither a dump"),
])
def test_bad_dumps_are_refused(change, cause, tmp_path):
    (tmp_path / "dump").write_bytes(change(SMALL))
    run = tool(tmp_path / "dump")
    assert run.returncode == 1 and cause in run.stderr and "Traceback" not in run.stderr


def test_damaged_records_are_left_out_and_counted():
    damaged = bytearray(SMALL)
    damaged[4096 + 32] ^= 1
    audit = auditfile.read(bytes(damaged))
    assert len(audit.records) == 2 and audit.damaged[0] == 1


def test_noise():
    """Whatever stands in a file: an answer or an AuditError."""
    rng = random.Random(76)
    for _ in range(400):
        data = bytearray(SMALL)
        for _ in range(rng.choice((1, 4, 40))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.5:          # with a right check, so that it gets further
            data[52:56] = struct.pack("<I", auditfile.check(bytes(data[:52])))
        try:
            found = auditfile.read(bytes(data[:rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data))
        except auditfile.AuditError:
            continue
        list(auditfile.lines(found, {}))
        json.dumps(list(auditfile.objects(found, {})))


def test_noise_as_text():
    rng = random.Random(77)
    line = "[reader] AUDIT 1 17 761425095 1 32 4 2 12345 security: forbidden\n"
    for _ in range(400):
        text = list(line * 3)
        for _ in range(rng.randrange(8)):
            text[rng.randrange(len(text))] = rng.choice("0123456789abcdef \nAUDIT-x")
        try:
            list(auditfile.lines(auditfile.read("".join(text).encode()), {}))
        except auditfile.AuditError:
            continue
