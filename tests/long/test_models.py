# SPDX-License-Identifier: Apache-2.0
"""Each CPU model with two and four CPUs: Linux to its init, rt beside it. Each run leaves a row in build/long/."""
import os
import re

import pytest

import image
from conftest import BUILD

MODELS = ["corei7_ivy_bridge_3770k", "corei7_skylake_x", "tigerlake", "arrow_lake", "wildcat_lake"]
IMAGES = {2: "demo", 4: "linux_four"}
LIMIT = 420         # seconds a run
RT_LINE = r"^\[rt\] rt: periods \d+ missed (\d+) "
LINES = 4           # the first began while Linux was still starting
COLUMNS = "{:<24} {:>4}  {:<7} {:>9} {:>9} {:>9} {:>10} {:>10}\n"
HEAD = COLUMNS.format("model", "CPUs", "result", "init at s", "whole s", "rt missed", "forbidden", "complaints")


def write_row(m, cpus, result, init, missed):
    directory = os.path.join(BUILD, "long")
    os.makedirs(directory, exist_ok=True)
    forbidden = len(re.findall(r"^\[core\] .*forbidden", m.e9, re.MULTILINE))
    with open(os.path.join(directory, f"{MODELS.index(m.cpu) + 1}-{cpus}.txt"), "w", encoding="utf-8") as f:
        f.write(COLUMNS.format(m.cpu, cpus, result, init, f"{m.seconds():.0f}", missed, forbidden,
                               len(m.vmx_complaints())))
    with open(os.path.join(directory, "0.txt"), "w", encoding="utf-8") as f:
        f.write(HEAD)


@pytest.mark.time_limit(LIMIT)
@pytest.mark.parametrize("cpus", IMAGES)
@pytest.mark.parametrize("cpu", MODELS)
def test_linux_and_rt(machine, linux_kernel, cpu, cpus):
    m = image.boot(machine, IMAGES[cpus], cpu=cpu, cpus=cpus, quantum=16, timeout=LIMIT - 5)
    result, init, missed = "FAILED", "-", "-"
    try:
        m.wait_for(r"^\[linux\] linux: init reached", on="e9")
        init = f"{m.seconds():.0f}"
        m.wait_for(r"^\[linux\] linux: shell", on="e9")
        assert re.search(r"^\[linux\] linux: cpus 1\b", m.e9, re.MULTILINE)
        assert re.search(r"^\[linux\] linux: processors 1, possible 0\b", m.e9, re.MULTILINE)
        found = m.wait_for(rf"(?:{RT_LINE}(?:.*\n)+?){{{LINES}}}", on="e9", since=m.mark())
        misses = [int(n) for n in re.findall(RT_LINE, found[0], re.MULTILINE)][1:]
        missed = sum(misses)
        assert missed == 0, f"rt has missed {misses} periods"
        assert not m.vmx_complaints()
        assert not re.search(r"^\[core\] linux: forbidden", m.e9, re.MULTILINE)
        result = "ok"
    finally:
        write_row(m, cpus, result, init, missed)
