# SPDX-License-Identifier: Apache-2.0
"""What the tests that boot machines share.

    def test_something(machine):
        m = machine("selfcheck", cpus=2)            # build/selfcheck.efi, started
        m.wait_for(r"^RESULT selfcheck ok$", timeout=60)

When the test ends, every machine it started is killed, and the test fails if an
emulator's log says that VMX was used wrongly. A test that does so on purpose says
which complaints it expects: @pytest.mark.vmx_complaints(r"VMXON: .*").
Each test has a time limit of its own: @pytest.mark.time_limit(300); without it 180 s.
BULKHEAD_TIME_FACTOR=3 makes all limits three times as long, for a slow or busy machine.
"""

import os
import signal
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tools"))
import bochs  # noqa: E402

BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
DEFAULT_LIMIT = 180.0       # seconds


def pytest_configure(config):
    config.addinivalue_line("markers", "time_limit(seconds): kill the test after this time (default 180)")
    config.addinivalue_line("markers", "xdist_group(name): tests that share a machine and so a worker (pytest-xdist)")
    config.addinivalue_line("markers", "vmx_complaints(*regexes): complaints of the emulator about VMX that are expected")


def _limit(item):
    mark = item.get_closest_marker("time_limit")
    return (float(mark.args[0]) if mark else DEFAULT_LIMIT) * bochs.TIME_FACTOR


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    limit = _limit(item)

    def expire(*_):
        # Not an Exception for Python, so that no `except Exception` in a test swallows it.
        raise pytest.fail.Exception(f"time limit of {limit:g} s for this test reached", pytrace=True)

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for number, m in enumerate(getattr(item, "machines", ())):
            report.sections.append((f"machine {number}, {call.when}", m.report(f"{m.cpu}, {m.cpus} CPU(s)")))


def built(name):
    """Path of build/NAME.efi; the test fails with advice when it is not there."""
    path = name if os.path.isabs(name) else os.path.join(BUILD, name + ".efi")
    if not os.path.isfile(path):
        pytest.fail(f"{path} is not built: run make (or make test)", pytrace=False)
    return path


@pytest.fixture
def machine(request, tmp_path):
    """Starts machines: machine(name_or_path, **options of bochs.Machine), or of qemu.Machine: emulator=qemu.Machine."""
    request.node.machines = started = []
    mark = request.node.get_closest_marker("vmx_complaints")
    expected = mark.args if mark else ()

    def start(efi=None, emulator=bochs.Machine, **options):
        options.setdefault("timeout", _limit(request.node) / bochs.TIME_FACTOR)
        options.setdefault("workdir", str(tmp_path / f"machine{len(started)}"))
        m = emulator(efi=built(efi) if efi else None, **options)
        started.append(m)
        return m.start()

    yield start
    for m in started:
        m.kill()
    complaints = [f"machine {n}: {line}" for n, m in enumerate(started) for line in m.vmx_complaints(allow=expected)]
    if complaints:
        pytest.fail("the emulator complains about the use of VMX:\n" + "\n".join(complaints[:20]), pytrace=False)


@pytest.fixture(scope="session")
def linux_kernel():
    """Debian's kernel image; the test is skipped where tools/setup could not get it."""
    path = os.path.join(bochs.cache_dir(), "kernel", "vmlinuz")
    if not os.path.isfile(path):
        pytest.skip("no Linux kernel to boot: run tools/setup --only kernel")
    return path
