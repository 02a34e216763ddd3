# SPDX-License-Identifier: Apache-2.0
"""What guest/linux/init says of its load on several CPUs, and whether it is good."""
import re


def check_load(m, cpus, timeout):
    """Waits for the end of the load: data goes from each CPU to the next and is right, each CPU got interrupts of others."""
    done = m.wait_for(r"^\[linux\] linux: load done cpus=(\d+) ipis=(\d+)", timeout=timeout, on="e9")
    assert int(done[1]) == cpus
    assert int(done[2]) > 0
    assert "CORRUPT" not in m.e9
    ended = re.findall(r"^\[linux\] linux: load cpu (\d+) rounds (\d+)", m.e9, re.MULTILINE)
    assert sorted((int(cpu), int(rounds)) for cpu, rounds in ended) == [(cpu, 8) for cpu in range(cpus)]
    sent = [list(map(int, re.search(rf"^\[linux\] +{name}:((?: +\d+){{{cpus}}}) ", m.e9, re.MULTILINE)[1].split()))
            for name in ("RES", "CAL")]
    assert all(map(sum, zip(*sent))), f"a CPU got no interrupt of another: {sent}"
    assert not re.search(r"^\[core\] linux: forbidden", m.e9, re.MULTILINE)
