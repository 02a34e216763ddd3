# SPDX-License-Identifier: Apache-2.0
"""What messages between partitions cost: the part of tools/bench for channels, doorbells and shared memory (docs/figures.md)."""

import re

from benchsched import Missing, find

LIMITS = {          # ticks, the cost of the RDTSC pair taken off
    "null": 95,
    "sampling_write": 150,
    "sampling_read": 150,
    "doorbell": 250,
}
QUEUE_LIMIT, W_LIMIT, BULK_TOLERANCE = 280, 1500, 1.01
HOSTILE_CALLS = 1_000_000

MACHINES = {        # name: (image, last line, seconds, options of the machine)
    "ipc": ("bench_ipc", r"RESULT portbench \w+(.|\n)*RESULT portbench \w+ .*", 200, {"cpus": 2, "quantum": 1}),
    "ipc_w": ("bench_ipc_w", r"RESULT portload .*", 200, {"quantum": 1}),
    "ipc_hostile": ("bench_ipc_hostile", r"RESULT porthostile .*", 900, {"cpus": 2}),
}


def medians(text):
    """FIGURE lines: name to the median, net, and to the maximum."""
    found = re.findall(r"^\[\w+\] FIGURE (\w+) min=\d+ med=(\d+) max=(\d+) overhead=(\d+)", text, re.MULTILINE)
    return {name: (int(median) - int(overhead), int(high) - int(overhead)) for name, median, high, overhead in found}


def figures(f, text):
    ticks = medians(text["ipc"])
    for name in ("null", "sampling_write", "sampling_write_watched", "sampling_read", "queuing_send", "queuing_receive", "doorbell"):
        if name not in ticks:
            raise Missing(f"no figure {name} in the run ipc")
        f.add(f"ipc.{name}", ticks[name][0], "ticks", LIMITS.get(name))
    f.add("ipc.queuing_send_and_receive", ticks["queuing_send"][0] + ticks["queuing_receive"][0], "ticks", QUEUE_LIMIT)
    f.add("ipc.bulk_private", ticks["bulk_private"][0], "ticks per 32 KiB")
    f.add("ipc.bulk_shared", ticks["bulk_shared"][0], "ticks per 32 KiB", int(ticks["bulk_private"][0] * BULK_TOLERANCE))
    f.add("ipc.doorbell_receiver_exits", int(find(text["ipc"], r"RESULT portbench right doorbell_exits=(\d+)")[1]), "per 1000", 0)
    f.add("ipc.w", int(find(text["ipc_w"], r"RESULT portload sent=\d+ worst=(\d+)")[1]), "ticks", W_LIMIT)
    hostile = find(text["ipc_hostile"], r"RESULT porthostile written=(\d+) reached=(\d+) calls=(\d+) odd=(\d+) foreign=(\d+)")
    f.add("ipc.hostile_calls", int(hostile[3]), "count")
    f.add("ipc.hostile_effects", sum(int(hostile[n]) for n in (1, 2, 4, 5)), "count", 0)
