# SPDX-License-Identifier: Apache-2.0
"""A trace as guest/apps/trace.c prints it (hypercall/trace.h): reading it, and what can be made of it.

    rings = parse(text)                     # a Ring a CPU
    plan = Plan.read("build/NAME/config.c") # names and windows; Plan() without
    table(rings, plan), chrome(rings, plan)
"""

import collections
import os
import re
import statistics

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SWITCH, EXIT, WINDOW, INTERRUPT, WAKE, WAIT, CUT, SCHEDULE = range(1, 9)
NOBODY = 0xffff
UNKNOWN_SMIS = NEVER = 0xffffffff
LINE = re.compile(r"^(?:\[[a-z0-9_-]+\] )?TRACE (begin|ring|late|bucket|reason|r|end|counters|done) ?(.*)$", re.MULTILINE)

Record = collections.namedtuple("Record", "tsc type detail who argument")
Run = collections.namedtuple("Run", "start end who")            # who ran from when to when, exits included
Window = collections.namedtuple("Window", "schedule index length start used late owner")   # used: None: not seen to its end
PlannedWindow = collections.namedtuple("PlannedWindow", "start length partition")   # microseconds


class TraceError(Exception):
    """The text is no whole trace."""


class Ring:
    """What one CPU wrote: its header's words as attributes, and the records that were still there."""

    def __init__(self, words):
        self.__dict__.update(words)
        self.late, self.buckets, self.reasons, self.records = {}, {}, {}, []

    def add(self, text):
        for piece in text.split():
            delta, *rest = (int(field, 16) for field in piece.split("."))
            self.records.append(Record((self.records[-1].tsc if self.records else 0) + delta, *rest))

    def check(self, end):
        total = sum(field & 0xffffffff for record in self.records for field in record) & 0xffffffff
        if (len(self.records), total) != (end["records"], end["sum"]):
            raise TraceError(f"CPU {self.cpu}: {len(self.records)} records, sum {total}; {end['records']}, sum {end['sum']} "
                             "were sent: the text is damaged")

    def runs(self):
        """From the first record to the last. Who ran before the first switch is known from its exits."""
        result, start, who = [], None, None
        for r in self.records:
            if r.type == SWITCH:
                if start is not None and who is not None and r.tsc > start:
                    result.append(Run(start, r.tsc, who))
                start, who = r.tsc, r.who
            elif r.type == EXIT and who is None:
                start, who = self.records[0].tsc, r.who
        if who is not None and self.records[-1].tsc > start:
            result.append(Run(start, self.records[-1].tsc, who))
        return result

    def windows(self, plan):
        """Each that began, and what its owner had of it."""
        runs, result, first = self.runs(), [], 0
        schedule = next((r.argument for r in self.records if r.type == SCHEDULE), self.schedule)
        for r in self.records:
            schedule = r.detail if r.type == SCHEDULE else schedule
            if r.type != WINDOW:
                continue
            length = plan.window(schedule, self.cpu, r.detail).length * self.khz // 1000
            end, used = r.tsc + length, None
            while first < len(runs) and runs[first].end <= r.tsc:
                first += 1
            if length and end <= self.records[-1].tsc:
                used = 0
                for run in runs[first:]:
                    if run.start >= end:
                        break
                    if run.who != NOBODY and run.who >> 8 == r.who >> 8:
                        used += min(run.end, end) - max(run.start, r.tsc)
            result.append(Window(schedule, r.detail, length, r.tsc, used, r.argument, r.who))
        return result


def parse(text):
    """The last whole trace in it."""
    rings, done = None, False
    for word, rest in LINE.findall(text.replace("\r", "")):
        if word == "begin":
            rings, done = [], False
        elif rings is None:
            continue
        elif word == "ring":
            rings.append(Ring(numbers(rest)))
        elif word == "late":
            rings[-1].late = numbers(rest)
        elif word == "bucket":
            rings[-1].buckets.update({int(n): int(count) for n, count in re.findall(r"(\d+):(\d+)", rest)})
        elif word == "reason":
            rings[-1].reasons.update({int(n): tuple(map(int, rest)) for n, *rest in re.findall(r"(\d+):(\d+):(\d+):(\d+)", rest)})
        elif word == "r":
            rings[-1].add(rest.partition(" ")[2])
        elif word == "end":
            rings[-1].check(numbers(rest))
        elif word == "done":
            done = True
    if not done:
        raise TraceError("no whole trace in this text: it goes from a line 'TRACE begin' to a line 'TRACE done'")
    return rings


def numbers(text):
    return {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", text)}


class Plan:
    """Names, and frames by schedule and CPU, from the tables that mkconfig writes (config.c)."""

    def __init__(self):
        self.names, self.vcpus, self.frames, self.guard = {}, {}, {}, None

    @classmethod
    def read(cls, path):
        plan = cls()
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for index, body in re.findall(r"^\t\[(\d+)\] = \{\n(.*?)^\t\},", text, re.MULTILINE | re.DOTALL):
            plan.names[int(index)] = re.search(r'\.name = "(.*?)"', body)[1]
            plan.vcpus[int(index)] = int(re.search(r"\.vcpu_count = (\d+)", body)[1])
        tables = dict(re.findall(r"^static const struct config_(?:frame|window) (\w+)\[\] = \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL))
        for schedule in range(len(re.findall(r"^static const struct config_frame ", text, re.MULTILINE))):
            for cpu, length in enumerate(re.findall(r"\.length = (\d+)", tables[f"s{schedule}_frames"])):
                plan.frames[schedule, cpu] = (int(length), [PlannedWindow(*map(int, row)) for row in re.findall(
                    r"\.start = (\d+), \.length = (\d+), \.partition = (\d+)", tables.get(f"s{schedule}_cpu{cpu}_windows", ""))])
        guard = re.search(r"\.guard = (\d+)", text)
        plan.guard = int(guard[1]) if guard else None
        return plan

    def name(self, who):
        if who == NOBODY:
            return "idle"
        partition = self.names.get(who >> 8, f"partition {who >> 8}")
        return partition if self.vcpus.get(who >> 8, 1) == 1 and not who & 0xff else f"{partition}.{who & 0xff}"

    def window(self, schedule, cpu, index):
        windows = self.frames.get((schedule, cpu), (0, []))[1]
        return windows[index] if index < len(windows) else PlannedWindow(0, 0, 0)


def reason_names():
    """Basic exit reasons by number, from the header that the core has them from."""
    with open(os.path.join(TOP, "vmx", "vmcs.h"), encoding="utf-8") as f:
        return {int(number): name.lower() for name, number in re.findall(r"\bR\((\w+), (\d+)\)", f.read())}


# ---- Chrome's trace format, which Perfetto reads, too -------------------------------------------------------------

CPU_TRACKS, WINDOW_TRACKS, PARTITION_TRACKS = 1, 2, 10     # process numbers; a partition's is its own beyond the last


def chrome(rings, plan):
    """A track a CPU with who runs and, inside, exits; one with its windows; one a vCPU with its runs and interrupts."""
    reasons = reason_names()
    begin = min((r.records[0].tsc for r in rings if r.records), default=0)
    events = [meta(CPU_TRACKS, None, "CPUs"), meta(WINDOW_TRACKS, None, "windows")]
    for ring in rings:
        def at(tsc):
            return round((tsc - begin) * 1000 / ring.khz, 3)    # microseconds

        def slice_(process, track, name, start, end, **arguments):
            return {"ph": "X", "pid": process, "tid": track, "name": name, "ts": at(start),
                    "dur": round(at(end) - at(start), 3), "args": arguments}

        events += [meta(CPU_TRACKS, ring.cpu, f"CPU {ring.cpu}"), meta(WINDOW_TRACKS, ring.cpu, f"CPU {ring.cpu}")]
        events += cpu_slices(ring, plan, reasons, slice_)
        events += window_slices(ring, plan, slice_)
        events += instants(ring, at)
    people = {run.who for ring in rings for run in ring.runs() if run.who != NOBODY}
    for who in sorted(people):
        events += [meta(PARTITION_TRACKS + (who >> 8), None, plan.names.get(who >> 8, f"partition {who >> 8}")),
                   meta(PARTITION_TRACKS + (who >> 8), who & 0xff, f"vCPU {who & 0xff}")]
    return {"displayTimeUnit": "ns", "traceEvents": events}


def meta(process, track, name):
    event = {"ph": "M", "pid": process, "name": "process_name" if track is None else "thread_name", "args": {"name": name}}
    return event if track is None else event | {"tid": track}


def cpu_slices(ring, plan, reasons, slice_):
    exits = [r for r in ring.records if r.type == EXIT]
    events, i = [], 0
    for run in ring.runs():
        events.append(slice_(CPU_TRACKS, ring.cpu, plan.name(run.who), run.start, run.end))
        if run.who != NOBODY:
            events.append(slice_(PARTITION_TRACKS + (run.who >> 8), run.who & 0xff, f"CPU {ring.cpu}", run.start, run.end))
        while i < len(exits) and exits[i].tsc <= run.end:
            if exits[i].tsc - exits[i].argument >= run.start:   # else it began before the first record
                events.append(slice_(CPU_TRACKS, ring.cpu, reasons.get(exits[i].detail, f"reason {exits[i].detail}"),
                                     exits[i].tsc - exits[i].argument, exits[i].tsc, ticks=exits[i].argument))
            i += 1
    return events


def window_slices(ring, plan, slice_):
    seen = ring.windows(plan)
    limits = [w.start for w in seen[1:]] + [ring.records[-1].tsc] if seen else []
    return [slice_(WINDOW_TRACKS, ring.cpu, f"{plan.names.get(w.owner >> 8, w.owner >> 8)}, window {w.index}", w.start,
                   min(w.start + w.length, limit) if w.length else limit, late_ticks=w.late, used_ticks=w.used)
            for w, limit in zip(seen, limits)]


def instants(ring, at):
    names = {INTERRUPT: "interrupt {0.detail:#x}", WAKE: "wakes", WAIT: "waits", CUT: "{0.detail} windows cut or lost",
             SCHEDULE: "schedule {0.detail}"}
    for r in ring.records:
        if r.type not in names:
            continue
        of_cpu = r.who == NOBODY or r.type in (CUT, SCHEDULE)
        process, track = (CPU_TRACKS, ring.cpu) if of_cpu else (PARTITION_TRACKS + (r.who >> 8), r.who & 0xff)
        yield {"ph": "i", "s": "t", "pid": process, "tid": track, "name": names[r.type].format(r), "ts": at(r.tsc), "args": {}}


# ---- the table ---------------------------------------------------------------------------------------------------

def table(rings, plan):
    lines = []
    for ring in rings:
        us = 1000 / ring.khz
        lines.append(f"CPU {ring.cpu}: {len(ring.records)} of {ring.head} records, the others are overwritten; TSC {ring.khz} kHz")
        if not ring.records:
            continue
        span = ring.records[-1].tsc - ring.records[0].tsc
        lines.append(f"  seen: {span * us:.1f} us")
        lines += run_lines(ring, plan, span, us) + exit_lines(ring, span, us)
        if ring.shared:
            lines += window_lines(ring, plan, us) + late_lines(ring, us)
    return "\n".join(lines) + "\n"


def rows(*columns):
    """Columns as wide as they must be; numbers, which are all but the first, to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*columns)]
    return ["  " + "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
            for row in columns]


def share(part, whole):
    return f"{100 * part / whole:.2f} %" if whole else "-"


def run_lines(ring, plan, span, us):
    ran, times = collections.Counter(), collections.Counter()
    for run in ring.runs():
        ran[run.who] += run.end - run.start
        times[run.who] += 1
    return rows(("who ran", "us", "share", "times"),
                *((plan.name(who), f"{ran[who] * us:.1f}", share(ran[who], span), str(times[who])) for who in sorted(ran)))


def exit_lines(ring, span, us):
    """Of what is seen; the last column is of all since the start."""
    names, taken = reason_names(), collections.defaultdict(list)
    for r in ring.records:
        if r.type == EXIT:
            taken[r.detail].append(r.argument)
    lines = []
    for n in sorted(ring.reasons.keys() | taken.keys()):
        ticks = taken[n]
        lines.append((names.get(n, f"reason {n}"), str(len(ticks)), f"{sum(ticks) * us:.1f}", share(sum(ticks), span),
                      str(int(statistics.median(ticks))) if ticks else "-", *map(str, ring.reasons.get(n, "--")[::2])))
    return rows(("root mode, by exit reason", "exits", "us", "share", "median ticks", "since start", "longest"), *lines)


def window_lines(ring, plan, us):
    seen = collections.defaultdict(list)
    for w in ring.windows(plan):
        seen[w.schedule, w.index].append(w)
    lines = []
    for (schedule, n), found in sorted(seen.items()):
        planned, late = plan.window(schedule, ring.cpu, n), [w.late for w in found]
        used = [w.used for w in found if w.used is not None]
        lines.append((f"{f'{schedule}:' if schedule else ''}{n} {plan.names.get(found[0].owner >> 8, found[0].owner >> 8)}", str(planned.start),
                      str(planned.length) if planned.length else "?", str(len(found)),
                      f"{min(late)}/{int(statistics.median(late))}/{max(late)}",
                      f"{min(used) * us:.1f}/{statistics.median(used) * us:.1f}" if used else "-",
                      share(sum(used), sum(w.length for w in found if w.used is not None))))
    return rows(("window", "start us", "length us", "begun", "late ticks min/median/max", "used us min/median", "share"), *lines)


def late_lines(ring, us):
    late, width = ring.late, 1 << ring.late["shift"]
    if not late["windows"]:
        return []
    lines = [f"  since the start: {late['windows']} windows, late by {late['min']} to {late['max']} ticks, on average "
             f"{late['sum'] // late['windows']}; guard {ring.guard} ({ring.guard * us:.1f} us); {ring.cut} cut, {ring.lost} lost"]
    top = max(ring.buckets.values())
    for n, count in sorted(ring.buckets.items()):
        end = f"{(n + 1) * width - 1}" if n < 63 else "on"
        lines.append(f"  {f'{n * width} to {end}':>16} {count:>8} {'#' * max(1, 50 * count // top)}")
    return lines
