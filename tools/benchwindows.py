# SPDX-License-Identifier: Apache-2.0
"""How late windows begin on a shared CPU: the part of tools/bench that reads it from a trace (docs/figures.md)."""

import os
import subprocess

import bochs
import tracefile

NAME = "bench_windows"          # tests/system/NAME.yaml
UNTIL, TIMEOUT = r"TRACE done", 300
WINDOWS = 100000                # guest/guest.mk: TRACE_WINDOWS of tracebench
CPU = 0


def median(late, buckets):
    """The upper end of the bucket that holds it."""
    seen = 0
    for n in sorted(buckets):
        seen += buckets[n]
        if 2 * seen >= late["windows"]:
            return ((n + 1) << late["shift"]) - 1
    return 0


def figures(f, text):
    """Prints them, and gives the ring."""
    ring = tracefile.parse(text)[CPU]
    late, names = ring.late, tracefile.reason_names()
    if late["windows"] < WINDOWS:
        raise tracefile.TraceError(f"only {late['windows']} windows have begun, not {WINDOWS}")
    f.add("window_starts", late["windows"], "count")
    f.add("window_start_min", late["min"], "ticks")
    f.add("window_start_median", median(late, ring.buckets), "ticks")
    f.add("window_start_max", late["max"], "ticks", ring.guard)
    f.add("windows_cut", ring.cut, "count", 0)
    f.add("windows_lost", ring.lost, "count", 0)
    for n, (_, _, longest) in sorted(ring.reasons.items()):
        f.add(f"windows.root_max.{names.get(n, n)}", longest, "ticks")
    return ring


def plot(path, ring):
    """The histogram that the core keeps, the number of windows on a logarithmic scale."""
    width = 1 << ring.late["shift"]
    rows = "\n".join(f"{n * width + width / 2} {count}" for n, count in sorted(ring.buckets.items()))
    script = f"""$a << EOD
{rows}
EOD
set terminal svg size 720,360 font "sans,13" background "white"
set output "{path}"
set title "From a window's plan to the entry of its first guest, {ring.late['windows']} windows beside hostile neighbours"
set xlabel "ticks late (instructions), in steps of {width}"
set ylabel "windows"
set logscale y
set yrange [0.5:{ring.late['windows'] * 3}]
set xrange [0:{max(ring.guard, ring.late['max']) * 1.15:.0f}]
set grid ytics
set style fill solid 0.8
set boxwidth {width * 0.8}
set arrow from {ring.guard},graph 0 to {ring.guard},graph 1 nohead dashtype 2
set label "guard" at {ring.guard},graph 0.6 offset 0.5,0
plot $a using 1:2 with boxes lc rgb "#20639b" notitle
"""
    subprocess.run([bochs.tool_path("gnuplot")], input=script, text=True, check=True)


def plot_beside(latency_svg, ring):
    plot(os.path.join(os.path.dirname(latency_svg), "window_start.svg"), ring)
