# SPDX-License-Identifier: Apache-2.0
"""The audit (hypercall/audit.h): reading it, from a dump of its memory or from what a partition has printed of it.

    audit = read(data)              # bytes of either kind: an Audit
    names(path)                     # partitions, from build/NAME/config.c
    lines(audit, names), objects(audit, names)
"""

import collections
import os
import re
import struct

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLASSES = {1: "security", 2: "safety", 3: "user"}
CORE, NO_VECTOR, LOST, FORBIDDEN, REFUSED, FAIL, BOOT = 0xffff, 0xffffffff, 10, 32, 33, 4, 1
HEADER = struct.Struct("<6I2Q2I")           # struct audit_header
COUNTERS = struct.Struct("<2Q")             # head, lost
RECORD = struct.Struct("<QIHBBQII")         # struct audit_record
PANIC = struct.Struct("<12Q2I160s2I")       # struct audit_panic
MAGIC, VERSION, RECORDS_AT = 0x54445541, 1, 4096
LINE = re.compile(r"^(?:\[[a-z0-9_-]+\] )?(?:linux: )?AUDIT (.*)$", re.MULTILINE)
PRINTED = re.compile(r"(\d+) (\d+) (\d+) (\d+) (\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) ")

Record = collections.namedtuple("Record", "cpu number tsc kind event partition a b boot")
Panic = collections.namedtuple("Panic", "cpu boot tsc vector error rip rsp rflags cr0 cr2 cr3 cr4 exit_reason exit_qualification guest_rip text")


class AuditError(Exception):
    """That is no audit, or it is damaged beyond use."""


class Audit:
    def __init__(self):
        self.records = []           # in the order of boots and times
        self.panics = []
        self.missed = {}            # by CPU: records overwritten before they could be read
        self.lost = {}              # by CPU: records that limits have kept out
        self.damaged = {}           # by CPU: records whose check is wrong
        self.khz = {}               # by boot, where it is known


def events():
    """Names of events, of their a and their b, by number, from the header that the core has them from."""
    with open(os.path.join(TOP, "hypercall", "audit.h"), encoding="utf-8") as f:
        return {int(n): (name, a, b) for n, name, a, b in re.findall(r'\bE\((\d+), \w+, "(.*?)", "(.*?)", "(.*?)"\)', f.read())}


def error_names():
    """Error classes by number, in the words of the configuration."""
    with open(os.path.join(TOP, "config", "config.h"), encoding="utf-8") as f:
        body = re.search(r"enum error_class \{(.*?)\}", f.read(), re.DOTALL)[1]
    return [name.lower() for name in re.findall(r"^\s*ERROR_(\w+)", body, re.MULTILINE) if name != "CLASS_COUNT"]


def names(path):
    with open(path, encoding="utf-8") as f:
        return {int(n): name for n, name in re.findall(r'^\t\[(\d+)\] = \{\n\t\t\.name = "(.*?)"', f.read(), re.MULTILINE)}


def check(data):
    """audit_check() of the header."""
    total = MAGIC
    for (word,) in struct.iter_unpack("<I", data):
        total = (((total << 5 | total >> 27) & 0xffffffff) * 0x9e3779b1 & 0xffffffff) ^ word
    return total


def whole(data):
    """A structure that ends with its check."""
    return check(data[:-4]) == struct.unpack("<I", data[-4:])[0]


def read(data):
    audit = _dump(data) if data[:4] == struct.pack("<I", MAGIC) else _text(data.decode("utf-8", errors="replace"))
    _order(audit)
    return audit


# ---- a dump of the memory ------------------------------------------------------------------------------------------

def _dump(data):
    audit, cpu, cpus = Audit(), 0, 1
    at = 0
    while cpu < cpus:
        part = data[at:]
        if len(part) < RECORDS_AT or not whole(part[:HEADER.size]):
            raise AuditError(f"CPU {cpu}: at byte {at} of {len(data)} stands no header, or it is damaged")
        magic, version, number, entries, stride, boot, _, khz, cpus, _ = HEADER.unpack_from(part)
        if (magic, version, number) != (MAGIC, VERSION, cpu) or not 0 < cpus <= 64:
            raise AuditError(f"CPU {cpu}: magic {magic:#x}, version {version}, CPU {number} of {cpus}")
        if not 64 <= entries <= 16384 or entries & entries - 1 or stride < RECORDS_AT + entries * RECORD.size:
            raise AuditError(f"CPU {cpu}: {entries} entries in {stride} bytes")
        if len(part) < RECORDS_AT + entries * RECORD.size:
            raise AuditError(f"CPU {cpu}: the dump ends at byte {len(data)}; its part goes to {at + RECORDS_AT + entries * RECORD.size}")
        audit.khz[boot] = khz
        _part(audit, cpu, boot, entries, part)
        cpu, at = cpu + 1, at + stride
    return audit


def _part(audit, cpu, boot, entries, part):
    head, audit.lost[cpu] = COUNTERS.unpack_from(part, HEADER.size)
    audit.missed[cpu] = max(0, head - entries)
    audit.damaged[cpu] = 0
    found = []
    for number in range(audit.missed[cpu], head):
        raw = part[RECORDS_AT + number % entries * RECORD.size:][:RECORD.size]
        tsc, sequence, partition, kind, event, b, a, _ = RECORD.unpack(raw)
        if sequence == number + 1 & 0xffffffff and whole(raw):
            found.append(Record(cpu, number, tsc, kind, event, partition, a, b, None))
        else:
            audit.damaged[cpu] += 1
    audit.records += _boots(found, boot)
    raw = part[HEADER.size + COUNTERS.size:][:PANIC.size]
    tsc, rip, rsp, rflags, error, cr0, cr2, cr3, cr4, reason, qualification, guest, when, vector, text, _, _ = PANIC.unpack(raw)
    if when and whole(raw):
        text = text.split(b"\0")[0].decode("ascii", errors="replace")
        audit.panics.append(Panic(cpu, when, tsc, vector, error, rip, rsp, rflags, cr0, cr2, cr3, cr4, reason, qualification, guest,
                                  "".join(c if c.isprintable() else "?" for c in text)))


def _boots(records, last):
    """Which boot each belongs to: that of the boot record before it, or the one before the next."""
    boot, result = None, []
    for r in records:
        boot = r.a if r.event == BOOT else boot
        result.append(r._replace(boot=boot))
    first = next((r.boot for r in result if r.boot is not None), (last or 1) + 1)
    return [r if r.boot is not None else r._replace(boot=first - 1 if any(x.event == BOOT for x in records) else last) for r in result]


# ---- what a partition has printed ----------------------------------------------------------------------------------

def _text(text):
    audit, by_cpu = Audit(), collections.defaultdict(list)
    for rest in LINE.findall(text.replace("\r", "")):
        if m := PRINTED.match(rest + " "):
            cpu, number, tsc, kind, event, partition = map(int, m.groups()[:6])
            by_cpu[cpu].append(Record(cpu, number, tsc, kind, event, partition, int(m[7], 16), int(m[8], 16), None))
        elif m := re.match(r"(missed|lost) (\d+) (\d+)$", rest):
            table = getattr(audit, m[1])
            table[int(m[2])] = int(m[3]) + (table.get(int(m[2]), 0) if m[1] == "missed" else 0)
    if not by_cpu:
        raise AuditError("neither a dump of the memory nor text with lines AUDIT")
    for cpu, records in by_cpu.items():
        records = sorted({r.number: r for r in records}.values(), key=lambda r: r.number)
        audit.records += _boots(records, 1)
        for r in records:
            if r.event == BOOT:
                audit.khz[r.a] = r.b
    return audit


def _order(audit):
    audit.records.sort(key=lambda r: (r.boot, r.tsc, r.cpu, r.number))


# ---- output --------------------------------------------------------------------------------------------------------

def describe(r, partitions):
    """Event, partition and both values in words."""
    name, a, b = events().get(r.event, (f"event {r.event}", "a", "b"))
    errors = error_names()
    who = "core" if r.partition == CORE else partitions.get(r.partition, f"partition {r.partition}")
    values = [f"{what} {value:#x}" if what in ("detail", "rip", "exception") else f"{what} {value}"
              for what, value in ((a, r.a), (b, r.b)) if what != "-"]
    if r.event in (FORBIDDEN, FAIL) and r.a < len(errors):
        values[0] = errors[r.a]
    if r.event == LOST:
        kinds = [errors[n] if n < len(errors) else "calls and notes" for n in range(64) if r.b >> n & 1 and (n < len(errors) or n == 63)]
        values = [f"{r.a} records" if r.a else "from here on", ", ".join(kinds)]
    if name == "note":
        values = [f"{r.a:#x} {r.b:#x}"]
    return name, who, ", ".join(values)


def seconds(r, audit):
    khz = audit.khz.get(r.boot)
    return f"{r.tsc / khz / 1000:14.6f} s" if khz else f"{r.tsc:16} ticks"


def lines(audit, partitions):
    for r in audit.records:
        name, who, values = describe(r, partitions)
        yield f"boot {r.boot} {seconds(r, audit)} CPU {r.cpu} #{r.number} {CLASSES.get(r.kind, f'class {r.kind}')}: {who}: {name}{': ' + values if values else ''}"
    for p in audit.panics:
        yield f"boot {p.boot} ended by a panic on CPU {p.cpu}: {p.text}"
        yield (f"  rip {p.rip:#x} rsp {p.rsp:#x} cr2 {p.cr2:#x} cr3 {p.cr3:#x} exit reason {p.exit_reason:#x} guest rip {p.guest_rip:#x}"
               + ("" if p.vector == NO_VECTOR else f" exception {p.vector} error {p.error:#x}"))
    for what, table in (("overwritten before they were read", audit.missed), ("kept out by limits", audit.lost), ("damaged", audit.damaged)):
        for cpu, n in sorted(table.items()):
            if n:
                yield f"CPU {cpu}: {n} records {what}"


def objects(audit, partitions):
    """One a record, then panics, then what is not there."""
    for r in audit.records:
        name, who, values = describe(r, partitions)
        yield {"type": "record", **r._asdict(), "class": CLASSES.get(r.kind), "name": name, "who": who, "text": values}
    for p in audit.panics:
        yield {"type": "panic", **p._asdict()}
    yield {"type": "end", "records": len(audit.records), "missed": audit.missed, "lost": audit.lost, "damaged": audit.damaged}
