# SPDX-License-Identifier: Apache-2.0
"""Debian's Linux with four vCPUs on four CPUs, and on two shared ones: each works, and they wake each other."""
import pytest

import image
import smp

@pytest.mark.time_limit(400)
@pytest.mark.parametrize("name,cpus", [("smp4", 4), ("smp4on2", 2)])
def test_linux_with_four_vcpus(machine, linux_kernel, name, cpus):
    m = image.boot(machine, name, cpus=cpus, quantum=16)
    m.wait_for(r"^\[linux\] linux: cpus 4", timeout=300, on="e9")
    m.wait_for(r"^\[linux\] linux: processors 4, possible 0-3", timeout=60, on="e9")
    smp.check_load(m, 4, timeout=200)
