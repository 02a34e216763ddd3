# SPDX-License-Identifier: Apache-2.0
"""Debian's Linux and the real-time application side by side: the demo, with somebody at the keyboard.

One machine serves all tests but the last: it boots for half a minute. They run in the file's order.
"""
import re

import pytest

import bochs
import image

IPS = 20_000_000
BOOT = 180          # seconds, on a busy host
STEP = 40
INIT = r"^\[linux\] linux: init reached"
PROMPT = r"^\[linux\] linux# "
RT_LINE = r"^\[rt\] rt: periods (\d+) missed (\d+) "
pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def booted(tmp_path_factory, linux_kernel):
    m = bochs.Machine(efi=image.path("demo"), files=image.payloads("demo"), cpus=2, quantum=16, ips=IPS, com1="pty",
                      timeout=600, workdir=str(tmp_path_factory.mktemp("demo")))
    try:
        m.start()
        m.wait_for(PROMPT, timeout=BOOT, on="e9")
        yield m
    finally:
        m.kill()
    assert not m.vmx_complaints(), "the emulator complains about the use of VMX"


@pytest.fixture
def demo(request, booted):
    request.node.machines = [booted]
    return booted


def lines(text, source):
    return re.findall(rf"^\[{source}\] (.*?)\r?$", text, re.MULTILINE)


def typed(m, command, answer):
    """Types a line at Linux's shell; the match of `answer` at the start of a line of Linux's."""
    since = m.mark()
    m.send(command + "\r")
    return m.wait_for(rf"^\[linux\] {answer}", timeout=STEP, on="e9", since=since)


def shell(m, expression):
    """What $(expression) is in Linux's shell, on one line."""
    return typed(m, f'echo "<" $({expression}) ">"', r"< (.*) >")[1]


def rt_misses(m, count):
    """Missed periods by the next whole `count` lines of rt."""
    since = m.mark()
    found = m.wait_for(rf"(?:{RT_LINE}(?:.*\n)+?){{{count + 1}}}", timeout=STEP, on="e9", since=since)
    return [int(missed) for _, missed in re.findall(RT_LINE, found[0], re.MULTILINE)[1:]]


@pytest.mark.time_limit(BOOT)
def test_linux_reaches_its_init(demo):
    demo.wait_for(INIT, on="e9")
    said = lines(demo.e9, "linux")
    assert "linux: cpus 1" in said
    kilobytes = int(next(l for l in said if l.startswith("linux: memory")).split()[2])
    assert 200 << 10 < kilobytes < 256 << 10
    assert re.search(r"^\[core\] linux: payload \d+ bytes, digest right", demo.e9, re.MULTILINE)


def test_a_plain_boot_does_nothing_forbidden(demo):
    assert not re.findall(r"^.*forbidden.*$", demo.e9, re.MULTILINE)


def test_shell_answers(demo):
    assert shell(demo, "uname -sm") == "Linux x86_64"
    assert shell(demo, "expr 6 '*' 7") == "42"


@pytest.mark.parametrize("what,expression,expected", [
    ("complaints", "dmesg | grep -cE 'WARNING|BUG|Oops|unchecked MSR|Call Trace|[Uu]nstable|lockup'", "0"),
    ("CPUID and FEATURE_CONTROL agree", "dmesg | grep -c 'disabled by BIOS'", "0"),
    ("x2APIC", "dmesg | grep -c 'Switched APIC routing to physical x2apic'", "1"),
    ("clocksource", "cat /sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("TSC frequency", "dmesg | grep -o 'tsc: Detected .* MHz'", f"tsc: Detected {IPS / 1e6:.3f} MHz"),
    ("VMX is hidden", "grep -cw vmx /proc/cpuinfo", "0"),
    ("CPU", "grep -o 'i5-1135G7' /proc/cpuinfo", "i5-1135G7"),
    ("timer", "cat /sys/devices/system/clockevents/clockevent0/current_device", "lapic-deadline"),
])
def test_linux_likes_its_platform(demo, what, expression, expected):
    assert shell(demo, expression) == expected, what


def test_time_in_linux_is_that_of_rt(demo):
    """Between two looks at both clocks the same time has passed; rt's is the TSC."""
    def look():
        found = demo.wait_for(RT_LINE, timeout=STEP, on="e9", since=demo.mark())
        return int(found[1]), float(shell(demo, "cut -d' ' -f1 /proc/uptime"))
    (rt0, linux0), (rt1, linux1) = look(), look()
    rt2, linux2 = look()
    assert rt2 > rt1 > rt0
    assert abs((rt2 - rt0) / 1000 - (linux2 - linux0)) < 5 + 0.1 * (rt2 - rt0) / 1000


def test_rt_misses_nothing(demo):
    """While Linux sits at its prompt. While it starts it executes REP strings of millions of units, during which the
    emulator gives no other CPU a turn, and lets their TSC jump (docs/testbed.md)."""
    assert rt_misses(demo, 3) == [0, 0, 0]


def test_keyboard_moves_to_rt_and_back(demo):
    since = demo.mark()
    demo.send("\x1d")
    demo.wait_for(r"^--- keyboard: rt \(2 of 2\)", timeout=STEP, on="e9", since=since)
    demo.send("echo stray-$((20+1))\r")
    assert rt_misses(demo, 2) == [0, 0]
    demo.send("\x1d")
    demo.wait_for(r"^--- keyboard: linux \(1 of 2\)", timeout=STEP, on="e9", since=since)
    typed(demo, "echo back-$((40+2))", "back-42")
    heard = demo.e9[since["e9"]:]
    assert "stray" not in heard, "Linux got what was typed for rt"
    demo.send("\x1d\x1c")       # Ctrl-] Ctrl-\ sends a Ctrl-] and leaves the keyboard where it was
    assert shell(demo, "expr 40 + 3").endswith("43")


def test_linux_switches_itself_off_and_rt_goes_on(demo):
    since = demo.mark()
    demo.send("poweroff -f\r")
    demo.wait_for(r"^\[core\] linux: vCPU 0 stopped: it has switched itself off", timeout=STEP, on="e9", since=since)
    assert rt_misses(demo, 2) == [0, 0]
    demo.send("echo dead-$((1+1))\r")
    assert rt_misses(demo, 1) == [0]
    assert "dead-2" not in demo.e9


@pytest.mark.xdist_group("demo-corrupted")
@pytest.mark.time_limit(BOOT)
def test_corrupted_payload_is_not_entered(machine, tmp_path, linux_kernel):
    with open(image.path("demo", "esp/linux.img"), "rb") as f:
        payload = bytearray(f.read())
    payload[len(payload) * 2 // 3] ^= 0x10
    (tmp_path / "linux.img").write_bytes(payload)
    m = image.boot(machine, "demo", files=image.payloads("demo", linux=str(tmp_path / "linux.img")), cpus=2, quantum=16)
    m.wait_for(r"^\[core\] linux: vCPU 0 stopped: its payload is not the one it was configured", timeout=100, on="e9")
    assert rt_misses(m, 2) == [0, 0]
    m.kill()
    assert re.search(r"^\[core\] linux: payload \d+ bytes, digest WRONG", m.e9, re.MULTILINE)
    assert not re.search(r"linux: vCPU 0 starts|^\[linux\]", m.e9, re.MULTILINE)
