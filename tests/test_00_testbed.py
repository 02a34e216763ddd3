# SPDX-License-Identifier: Apache-2.0
"""The test bed itself: what the other tests take for granted. Runs first."""

import os
import re
import subprocess
import time

import pytest

import bochs
import image
import qemu
from conftest import TOP, built


@pytest.mark.parametrize("cpu", ["tigerlake", "corei7_ivy_bridge_3770k"])
def test_selfcheck_boots(machine, cpu):
    m = machine("selfcheck", cpu=cpu)
    found = m.wait_for(r"^RESULT selfcheck (\w+)$", timeout=90, on="e9")
    assert found[1] == "ok"
    checks = re.findall(r"^CHECK (\S+) (\w+)$", m.e9, re.MULTILINE)
    assert {name for name, _ in checks} == {"idiv64", "div64", "cpuid-vmx", "feature-control", "vmxon", "vmxoff"}
    assert m.e9.startswith("CHECK "), "nothing but the guest's own text belongs on the result channel"


def test_empty_boots_on_two_cpus(machine):
    m = machine("empty", cpus=2)
    m.wait_for(r"^RESULT empty ok$", timeout=90)


@pytest.mark.parametrize("kind", ["tis", "crb"])
def test_qemu_has_a_tpm(machine, kind):
    """The other emulator, and that its TPM can be read after the machine's end: the firmware has measured into PCR 4."""
    m = image.boot(machine, "hello", emulator=qemu.Machine, tpm=kind)
    m.wait_for(r"^RESULT core stop", timeout=60)
    m.kill()
    values = m.tpm2("pcrread", "sha256:4,8")
    assert re.search(r" 4 : 0x(?!0{64})[0-9A-F]{64}", values) and re.search(r" 8 : 0x0{64}", values)


def test_division_is_checked_at_every_start(machine):
    m = machine("empty")
    with open(m.path("mends.txt"), encoding="utf-8") as f:
        assert re.fullmatch(r"idiv64 (right|mended)\nnotifications mended\nheld_interrupts mended\ncommits mended\nbochsfix done\n", f.read())


def test_wrong_division_is_refused():
    bochs.check_mended("idiv64 mended\nbochsfix done\n", None)
    with pytest.raises(bochs.BochsError, match="computes wrongly"):
        bochs.check_mended("idiv64 wrong\nbochsfix done\n", bochs.EXIT_NOT_MENDED)
    with pytest.raises(bochs.BochsError, match="not loaded"):
        bochs.check_mended("", None)


@pytest.mark.vmx_complaints(r"VMXON: invalid or not page aligned physical address")
def test_wrong_use_of_vmx_is_noticed(machine):
    m = machine("misuse")
    m.wait_for(r"^RESULT misuse refused$", timeout=90)
    m.kill()
    assert len(m.vmx_complaints()) == 1, "the emulator's judgement on VMX does not reach the tests"
    assert not m.vmx_complaints(allow=[r"VMXON: .*"])


def test_time_limit_kills_the_machine(machine):
    m = machine("empty", timeout=2)
    process = m.process
    with pytest.raises(bochs.BochsTimeout):
        m.wait_for("this never appears")
    assert m.seconds() < 10
    process.wait(5)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_machine_that_ended_is_noticed(machine):
    m = machine("empty")
    with pytest.raises(bochs.BochsError, match="ended before"):
        m.wait_for("this never appears", timeout=90)
    assert "RESULT empty ok" in m.e9


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_emulator_dies_with_its_runner(tmp_path):
    command = [os.path.join(TOP, "tools", "bochs"), "--efi", built("empty"), "--timeout", "60", "--workdir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as runner:
        end = time.monotonic() + 20
        while not (tmp_path / "bochs.log").exists() and time.monotonic() < end:
            time.sleep(0.05)
        with open(f"/proc/{runner.pid}/task/{runner.pid}/children", encoding="ascii") as f:
            emulators = f.read().split()
        assert [_alive(pid) for pid in emulators] == [True]
        runner.kill()
    end = time.monotonic() + 5
    while any(map(_alive, emulators)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(_alive, emulators)), "Bochs outlives its runner"


def test_runner_exit_status(tmp_path):
    env = dict(os.environ, TMPDIR=str(tmp_path))    # the files of a failed run are kept

    def run(*options):
        return subprocess.run([os.path.join(TOP, "tools", "bochs"), "--efi", built("empty"), *options],
                              env=env, capture_output=True, text=True, check=False, timeout=100)

    good = run("--until", "^RESULT empty ok$")
    assert (good.returncode, good.stdout) == (0, "RESULT empty ok\n"), good.stderr
    late = run("--until", "^never$", "--timeout", "2")
    assert late.returncode == 124 and "time limit of 2 s" in late.stderr


def test_esp_holds_the_files(tmp_path):
    (tmp_path / "a").write_bytes(b"a" * 70_000_000)
    (tmp_path / "b").write_text("bulkhead\n")
    image = str(tmp_path / "esp.img")
    bochs.make_esp(image, [(str(tmp_path / "a"), "EFI/BOOT/BOOTX64.EFI"), (str(tmp_path / "b"), "B.TXT")])
    env = dict(os.environ, MTOOLSRC=os.devnull)
    out = subprocess.run([bochs.tool_path("mtype"), "-i", image, "::/B.TXT"], env=env, capture_output=True, check=True)
    assert out.stdout == b"bulkhead\n"


def test_initramfs_is_reproducible(tmp_path):
    images = [tmp_path / "1.cpio.gz", tmp_path / "2.cpio.gz"]
    for image in images:
        subprocess.run([os.path.join(TOP, "tools", "initramfs"), str(image)], check=True, timeout=60)
        time.sleep(1.1)                     # another second in every time stamp
    assert images[0].read_bytes() == images[1].read_bytes()
