# SPDX-License-Identifier: Apache-2.0
"""Messages between partitions: the filter that none gets round, samples across CPUs, and a hostile partition with few rights."""
import re
import subprocess

import pytest

import image
from conftest import BUILD, TOP

LAST = ("source", "filter", "sink", "writer", "reader", "porthostile")


@pytest.fixture(scope="module")
def printed():
    """What a run of tests/system/ipc.yaml printed: one machine for all tests about it."""
    return {}


@pytest.fixture
def results(machine, printed):
    """RESULT lines by name, as dictionaries."""
    if not printed:
        m = image.boot(machine, "ipc", cpus=3)
        for name in LAST:
            m.wait_for(rf"^\[\w+\] RESULT {name} .*", timeout=170, on="e9")
        for name, rest in re.findall(r"^\[\w+\] RESULT (\w+) (.*)", m.e9, re.M):
            printed[name] = {k: int(v, 16 if k == "box" else 10) for k, v in (p.split("=") for p in rest.split())}
        printed["text"] = m.e9
    return printed


@pytest.mark.xdist_group("ipc")
@pytest.mark.time_limit(200)
def test_filter_sees_each_message(results):
    """Each fifth order is forbidden, each third of the others too large; nothing of that arrives, all else does, in order."""
    orders = 200
    forbidden = orders // 5
    large = sum(1 for n in range(1, orders + 1) if n % 3 == 0 and n % 5)
    assert results["filter"] == {"seen": orders + 1, "passed": orders + 1 - forbidden, "changed": large, "dropped": forbidden}
    assert results["sink"] == {"orders": orders - forbidden, "wrong": 0}
    assert results["source"]["refused"] > 0, "the queue was never full"


@pytest.mark.xdist_group("ipc")
@pytest.mark.time_limit(200)
def test_samples_from_another_cpu_are_whole_and_stay(results):
    found = results["reader"]
    assert found["samples"] > 300
    assert not any(found[k] for k in ("torn", "changed", "back", "stale"))
    assert results["writer"]["samples"] > 10 * found["samples"]     # many were written while one was held


@pytest.mark.xdist_group("ipc")
@pytest.mark.time_limit(200)
def test_hostile_reaches_nothing(results):
    """Read-only memory is read-only, foreign outboxes are not there, no call does more than the configuration says, and nobody is interrupted but by
    the one doorbell."""
    assert results["porthostile"] == {"written": 0, "reached": 0, "calls": 10000, "odd": 0, "foreign": 0, "noise": 3}
    assert results["reader"]["box"] == 0x1234
    assert results["reader"]["rings"] > 0 and results["reader"]["strays"] == 0
    assert re.search(r"hostile: forbidden memory: write to guest-physical d0000000", results["text"])
    assert re.search(r"hostile: forbidden memory: write to guest-physical f8", results["text"])


@pytest.mark.time_limit(120)
def test_all_at_once(machine):
    """Two vCPUs send and receive on the same channels and write over what is being copied: nothing is lost or comes twice, and nothing changes once it is
    received. Then they are reset again and again while they send: each message is whole, and the channels go on. Calls from user mode, with the right and
    without it. tests/system/crowd.yaml."""
    m = image.boot(machine, "crowd", cpus=3)
    m.wait_for(r"^\[judge\] RESULT from plain=0 right=0", timeout=110, on="e9")
    crowd = re.search(r"RESULT crowd received=(\d+) lost=0 odd=0 mixed=(\d+) changed=0 orders=\d+ astray=0", m.e9)
    assert crowd and int(crowd[1]) >= 1000 and int(crowd[2]) > 0, "the second vCPU never wrote into a message that was copied"
    assert re.search(r"RESULT restarts lives=12 messages=\d+ broken=0 order=0 stuck=0", m.e9)
    assert "RESULT user sent=2 refused=8 eperm=0 other=1" in m.e9
    assert "RESULT plain sent=0 refused=0 eperm=11 other=0" in m.e9
    assert "RESULT from user=2 right=2" in m.e9


def plan(tmp_path, change):
    with open(f"{TOP}/tests/system/ipc.yaml", encoding="utf-8") as f:
        changed = change(f.read())
    path = tmp_path / "ipc.yaml"
    path.write_text(changed, encoding="utf-8")
    return subprocess.run([f"{BUILD}/mkconfig", "plan", str(path), "--root", BUILD, "--dot", str(tmp_path / "flows.dot")],
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("old, new, way", [
    ("from: writer,  to: [reader, hostile]", "from: source,  to: [reader, sink]",
     "source -> sink by sampling channel speed"),
    ("  - name: sink\n", "  - name: sink\n    watches: [source]\n", "source -> sink by state"),
    ("  - name: source\n", "  - name: source\n    controls: [sink]\n", "source -> sink by control"),
    ("  - name: source\n", "  - name: source\n    standby: sink\n    on_error: {memory: failover}\n", "source -> sink by fail-over"),
    ("  - name: source\n", "  - name: source\n    failure_schedule: normal\n    on_error: {memory: switch_schedule}\n", "source -> sink by schedule"),
    ("from: hostile, to: [reader], size: 16", "from: source, to: [sink], size: 16", "source -> sink by queuing channel noise"),
    ("from: [hostile], to: reader, vector", "from: [source], to: sink, vector", "source -> sink by doorbell knock"),
    ("\n    hypercalls: [version, console, counters, stop]\n  - name: filter",
     "\n    hypercalls: [version]\n    set_schedule: true\n  - name: filter", "source -> sink by schedule"),
    ("trace: none\n", "trace: {entries: 64}\n", "source -> sink by the core's trace"),
    ("from: filter,  to: [sink]", "from: hostile,  to: [sink]", "there is no way from 'source' to 'sink' at all"),
], ids=["channel", "watches", "controls", "standby", "failure_schedule", "queue", "doorbell", "schedule", "trace", "none"])
def test_flows_are_proved(tmp_path, old, new, way):
    """Any other way between the two is found and named."""
    def change(text):
        if old.startswith("trace"):
            return text.replace("guard: 50 us\n", "guard: 50 us\n" + new).replace(
                "    boot: {kit: guest/portpeer.elf}\n    hypercalls: [version, console, counters, stop]\n  - name: writer",
                "    boot: {kit: guest/portpeer.elf}\n    maps: [{memory: trace, at: 0xd0000000, rights: r}]\n  - name: writer")
        assert text.count(old) == 1
        return text.replace(old, new)
    result = plan(tmp_path, change)
    assert result.returncode == 1
    assert "only_through: " in result.stderr and way in result.stderr


def test_shared_memory_counts_by_its_rights(tmp_path):
    """A memory that the source writes and the sink reads is a way; one that both only read is none."""
    def share(source, sink):
        def change(text):
            for name, rights in (("source", source), ("sink", sink)):
                head, tail = text.split(f"  - name: {name}\n")
                text = f"{head}  - name: {name}\n    maps: [{{memory: box, at: 0xd0000000, rights: {rights}}}]\n{tail}"
            return text.replace("memory: box, at: 0xd0000000, rights: rw}]", "memory: box, at: 0xd0000000, rights: %s}]" % source)
        return change
    assert "source -> sink by memory box" in plan(tmp_path, share("rw", "r")).stderr
    assert plan(tmp_path, share("r", "r")).returncode == 0


def test_plan_lists_and_draws_flows(tmp_path):
    result = plan(tmp_path, lambda text: text)
    assert result.returncode == 0
    assert "  source -> filter by queuing channel orders\n" in result.stdout
    assert "  proved: from source to sink only through filter\n" in result.stdout
    graph = (tmp_path / "flows.dot").read_text(encoding="utf-8")
    assert '"source" -> "filter"' in graph and '"source" -> "sink"' not in graph
    svg = subprocess.run(["dot", "-Tsvg"], input=graph, capture_output=True, text=True, check=True).stdout
    assert "<svg" in svg
