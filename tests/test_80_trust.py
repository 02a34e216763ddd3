# SPDX-License-Identifier: Apache-2.0
"""Trust: measured launch, Secure Boot, prediction, attestation. In QEMU with swtpm, where the way ends at the missing VMX."""

import os
import re
import struct
import subprocess

import pytest

import bochs
import eventlog
import image
import measured
import pcrs
import qemu
from conftest import BUILD, TOP, built

TRUST = os.path.join(BUILD, "trust")
END = r"^RESULT (core|boot) stop"
OURS = (pcrs.PCR_CORE, pcrs.PCR_CONFIG, pcrs.PCR_PAYLOADS)

pytestmark = pytest.mark.skipif(not os.path.isfile(os.path.join(bochs.cache_dir(), "qemu", "version")),
                                reason="no QEMU with a TPM: run tools/setup --only qemu")


def booted(machine, efi=None, damage=None, name="trust", **options):
    """Boots to the end and gives what was said. damage: see tests/noacpi/tcg2.h."""
    files = image.payloads("trust")
    if damage:
        where = os.path.join(os.path.dirname(efi or image.path(name)), damage.replace(" ", "-") + ".TXT")
        with open(where, "w", encoding="ascii") as f:
            f.write(damage + "\n")
        files += [(efi or image.path(name), "BULKHEAD.EFI"), (where, "DAMAGE.TXT")]
    m = machine(built("noacpi") if damage else str(efi or image.path(name)), files=files, emulator=qemu.Machine, **options)
    return m


def said(m, timeout=60):
    m.wait_for(END, timeout=timeout, on="e9")
    m.settle()
    return m.e9


@pytest.fixture(scope="session")
def lenient(tmp_path_factory):
    """The same configuration, that goes on and says so."""
    return image.rebuilt("trust", tmp_path_factory.mktemp("lenient"), ".trust_refuse = 0x3", ".trust_refuse = 0x0")


# ---- measured launch -------------------------------------------------------------------------------------------------

@pytest.mark.time_limit(400)
def test_attestation(tmp_path):
    """The whole of make attest: TPM, log and prediction agree in every bank, and a change of each part is caught and named."""
    run = subprocess.run([os.path.join(TOP, "tools", "attest"), TRUST, "--workdir", str(tmp_path)], capture_output=True, text=True,
                         check=False, env=dict(os.environ, LC_ALL="C"))
    assert run.returncode == 0, run.stdout + run.stderr
    text = run.stdout
    for algorithm in eventlog.SIZES:
        assert re.search(rf"  {algorithm}: PCRs 0 to 15 agree with the replay of \d+ events, PCRs 4, 11, 12, 13 are the predicted",
                         text)
    assert "verdict: trusted" in text and "another nonce: refused" in text
    image_changed = "  PCR 4: the image that ran is not bulkhead.efi of this build\n"
    caught = dict(re.findall(r"one bit changed in the (\w+): CAUGHT\n((?:  .*\n)+)", text))
    quoted = "  quoted values that are not the predicted ones: PCR "
    first = image.payloads("trust")[0][1]
    assert caught == {
        "loader": f"{image_changed}{quoted}4\n",
        "core": f"{image_changed}  PCR 11: core data is not the one of this build\n{quoted}4, 11\n",
        "configuration": f"{image_changed}  PCR 12: configuration trust is not the one of this build\n{quoted}4, 12\n",
        "payload": f"  PCR 13: payload {first} is not the one of this build\n{quoted}13\n",
    }
    # Standard tools parse the log, and warn of nothing.
    log = tmp_path / "log.bin"
    start = (tmp_path / "good" / "log.bin").read_bytes()
    log.write_bytes(start)
    parsed = subprocess.run([*qemu.command("tpm2"), "eventlog", str(log)], env=qemu.environment(), capture_output=True, text=True,
                            check=False)
    assert parsed.returncode == 0 and "WARN" not in parsed.stderr + parsed.stdout and "ERROR" not in parsed.stderr
    assert parsed.stdout.count("EventType: EV_EVENT_TAG") == 5


def test_prediction_with_a_recorded_log(tmp_path):
    """PCR 4 from a firmware's own log is what is computed for OVMF; with another image before ours it is another."""
    path = os.path.join(TRUST, "bulkhead.efi")
    with open(path, "rb") as f:
        digest = eventlog.authenticode(f.read())
    call = eventlog.Event(4, eventlog.EV_EFI_ACTION, {a: pcrs.hashlib.new(a, pcrs.CALLING).digest() for a in eventlog.SIZES}, b"")
    separator = eventlog.Event(4, eventlog.EV_SEPARATOR, {a: pcrs.hashlib.new(a, bytes(4)).digest() for a in eventlog.SIZES}, b"")
    other = eventlog.Event(4, eventlog.EV_EFI_BOOT_SERVICES_APPLICATION, {a: bytes(n) for a, n in eventlog.SIZES.items()}, b"")
    computed = pcrs.predict(TRUST)
    assert pcrs.predict(TRUST, log=[call, separator, other]) == computed
    chained = pcrs.predict(TRUST, log=[call, separator, other, other])
    assert chained["sha256"][4] != computed["sha256"][4] and chained["sha256"][11] == computed["sha256"][11]
    value = bytes(32)
    for part in (pcrs.hashlib.sha256(pcrs.CALLING).digest(), pcrs.hashlib.sha256(bytes(4)).digest(), digest):
        value = eventlog.extend(value, "sha256", part)
    assert computed["sha256"][4] == value


@pytest.mark.parametrize("cut", [0, 1, 31, 40, 80, 100, 500])
def test_bad_log_is_refused(cut):
    """What a machine sends is not trusted: a log that is cut or nonsense gives a message, not a crash."""
    with pytest.raises(eventlog.LogError):
        eventlog.parse(bytes(range(256))[:cut] * 2)


# ---- what is missing ---------------------------------------------------------------------------------------------------

NO_TPM = (r"no TPM 2\.0 with an active bank \(TCG2 protocol\): nothing is measured; enable it in the firmware's settings")
FAILED = r"configuration trust could not be measured into PCR 12 \({}\): the TPM or its log does not work"


@pytest.mark.time_limit(90)
@pytest.mark.parametrize("damage,options,message", [
    (None, {}, NO_TPM),
    ("tpm gone", {"tpm": "tis"}, NO_TPM),
    ("tpm fail 1", {"tpm": "crb"}, FAILED.format("device error")),
    ("tpm cut 1", {"tpm": "tis"}, FAILED.format("its log is full")),
], ids=["absent", "gone", "fails", "log-full"])
def test_refused(machine, damage, options, message):
    text = said(booted(machine, damage=damage, **options))
    assert re.search(r"^boot: STOP: " + message, text, re.MULTILINE), text
    assert "[core]" not in text


@pytest.mark.time_limit(180)
def test_goes_on_without_and_says_so(machine, lenient):
    """trust: record. In the boot report, too: a machine that nobody watches at its start."""
    text = said(booted(machine, efi=lenient))
    assert re.search("^boot: WARNING: " + NO_TPM, text, re.MULTILINE)
    assert "[core] trust: NOTHING IS MEASURED, there is no TPM" in text and "[core] trust: NO EVENT LOG" in text
    m = booted(machine, efi=lenient, damage="tpm fail 1", tpm="tis")
    text = said(m)
    m.kill()
    assert re.search("^boot: WARNING: " + FAILED.format("device error"), text, re.MULTILINE)
    assert "[core] trust: 4 components measured into PCRs 11, 12, 13; 1 FAILED" in text
    assert re.search(r" 12: 0x0{64}\n", m.tpm2("pcrread", "sha256:12")), "what failed is not in the TPM: a verifier will see"


@pytest.mark.time_limit(180)
@pytest.mark.parametrize("damage,warning,report", [
    ("tpm nolog", "the firmware's event log is not there: the PCRs cannot be explained by it", "NO EVENT LOG"),
    ("tpm nofinal", "the firmware has no final-events table: the log will lack what leaving it measures", "final events 0, from"),
])
def test_no_log(machine, damage, warning, report):
    text = said(booted(machine, damage=damage, tpm="tis"))
    assert "boot: WARNING: " + warning in text
    assert re.search(rf"\[core\] trust: .*{report}", text)
    assert "5 components measured" in text


@pytest.mark.time_limit(180)
def test_tpm_dies(machine):
    """The TPM itself, not a service that says so: swtpm is killed when the loader is about to measure."""
    m = booted(machine, damage="tpm wait", tpm="tis", timeout=170)
    m.wait_for(r"noacpi: waits", timeout=60, on="e9")
    m.kill_tpm()
    text = said(m, timeout=100)
    assert re.search(r"^boot: STOP: core code could not be measured into PCR 11 \([a-z ]+\)", text, re.MULTILINE), text


@pytest.mark.time_limit(120)
def test_demands(machine, tmp_path):
    """Secure Boot and TXT where the configuration wants them, and the machine has neither."""
    efi = image.rebuilt("trust", tmp_path, ".trust_refuse = 0x3", ".trust_refuse = 0xb")
    text = said(booted(machine, efi=efi, tpm="tis"))
    assert "boot: late launch lacks: SMX (CPUID.1:ECX[6])" in text
    assert "boot: late launch lacks: a SINIT module of the firmware's" in text
    assert "boot: STOP: the configuration demands a machine that can do a late launch (trust: no_txt: refuse)" in text


# ---- Secure Boot --------------------------------------------------------------------------------------------------------

def secureboot(*words):
    return subprocess.run([os.path.join(TOP, "tools", "secureboot"), *map(str, words)], check=True, capture_output=True,
                          text=True).stdout


@pytest.mark.time_limit(240)
def test_secure_boot(machine, tmp_path):
    """The customer's keys from enrolment on: the signed image runs and measures what was predicted; unsigned, foreign-signed and
    changed ones do not run."""
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    secureboot("keys", ours)
    secureboot("keys", foreign)
    demanding = image.rebuilt("trust", tmp_path, ".trust_refuse = 0x3", ".trust_refuse = 0x7")
    m = booted(machine, efi=demanding, tpm="tis")
    assert "boot: STOP: Secure Boot is off: the firmware has not verified this image" in said(m)
    m.kill()
    m = machine(built("enrol"), files=[(str(ours / f"{n}.auth"), f"{n}.auth") for n in ("PK", "KEK", "db")],
                emulator=qemu.Machine, secure=True)
    m.wait_for(r"^RESULT enrol (\w+)", timeout=60, on="e9")
    m.kill()
    assert "RESULT enrol ok" in m.e9
    store = m.path("variables.fd")
    for keys, name in ((ours, "signed.efi"), (foreign, "foreign.efi")):
        secureboot("sign", "--key", keys / "db.key", "--cert", keys / "db.crt", demanding, tmp_path / name)
    signed = (tmp_path / "signed.efi").read_bytes()
    at = signed.index(b"leaving the firmware")
    (tmp_path / "changed.efi").write_bytes(signed[:at] + b"L" + signed[at + 1:])

    m = booted(machine, efi=tmp_path / "signed.efi", tpm="tis", secure=True, variables=store)
    text = said(m)
    m.kill()
    assert "[core] trust: Secure Boot on" in text and "5 components measured" in text
    values = m.tpm2("pcrread", "sha256:4")
    expected = pcrs.predict(os.path.dirname(demanding))["sha256"][4]
    assert expected.hex() in values.lower(), "signing has changed what is measured"
    for refused in (demanding, tmp_path / "foreign.efi", tmp_path / "changed.efi"):
        m = booted(machine, efi=refused, secure=True, variables=store)
        m.wait_for(r"Access Denied", timeout=60, on="com1")
        m.kill()
        assert "boot:" not in m.e9, f"{refused} has run"


# ---- what the ACPI tables say of the TPM -------------------------------------------------------------------------------

def tpm2_table(method, area=0, log=(0, 0), revision=4, checksum=0):
    table = b"TPM2" + struct.pack("<IBB6s8sI4sI", 76, revision, 0, b"BULKHD", b"TPM2TEST", 1, b"TEST", 1) + \
        struct.pack("<IQI12xIQ", 0, area, method, *log)
    return table[:9] + bytes([(checksum - sum(table)) & 255]) + table[10:]


TABLES = {
    "a good one": (tpm2_table(7, 0xFED40040, (0x1000, 0x8000000)),
                   r": command response buffer, control area fed40040, log area 8000000, 4096 bytes; THE FIRMWARE DOES NOT LEND THAT TPM"),
    "no control area": (tpm2_table(7), r", at [0-9a-f]+, offset 40: its control area is at an impossible address"),
    "a log beyond all memory": (tpm2_table(6, 0, (0x1000, 1 << 60)), r", at [0-9a-f]+, offset 64: its event log is at an impossible address"),
}


@pytest.mark.time_limit(100)
@pytest.mark.parametrize("what", TABLES)
def test_tpm2_table(machine, lenient, tmp_path, what):
    """The firmware lends no TPM; its ACPI tables list one, right or wrong: said, and believed in nothing."""
    table, words = TABLES[what]
    (tmp_path / "tpm2.bin").write_bytes(table)
    text = said(booted(machine, efi=lenient, extra=["-acpitable", f"file={tmp_path}/tpm2.bin"]))
    assert "[core] trust: NOTHING IS MEASURED, there is no TPM" in text
    assert re.search(rf"^\[core\] trust: ACPI table TPM2{words}\r?$", text, re.MULTILINE), text


# ---- the board ---------------------------------------------------------------------------------------------------------

@pytest.mark.time_limit(120)
def test_probe(machine, tmp_path):
    """What it writes is what the machine has, and a configuration can be made with it."""
    devices = ["intel-iommu,intremap=on", "edu,addr=4", "pcie-root-port,id=acs,addr=5,chassis=1", "e1000e,bus=acs,romfile=",
               "pcie-root-port,id=plain,addr=6,chassis=2,disable-acs=on", "e1000e,bus=plain,romfile="]
    m = machine(os.path.join(BUILD, "probe.efi"), emulator=qemu.Machine, tpm="tis", cpus=3, memory=1024, devices=devices)
    m.wait_for(r"^boot: RESULT probe ok", timeout=60, on="e9")
    m.kill()
    board = m.file("BOARD.YAML").decode()
    (tmp_path / "board.yaml").write_text(board)
    assert "cpus: 3\n" in board and 900 <= int(re.search(r"^memory: (\d+) MiB$", board, re.MULTILINE)[1]) <= 1024
    groups = dict(re.findall(r'function: "([0-9a-f:./]+)", group: "(\d+)"}', board))
    assert re.search(r"0000:00:04\.0.* # 1234:11e8 class 00ff00", board)
    assert len({groups[f] for f in ("0000:00:04.0", "0000:00:05.0", "0000:00:05.0/00.0", "0000:00:06.0")}) == 4, "ACS keeps apart"
    assert groups["0000:00:06.0/00.0"] == groups["0000:00:06.0"], "a port without ACS does not"
    assert groups["0000:00:1f.0"] == groups["0000:00:1f.2"] == groups["0000:00:1f.3"], "one device without ACS"
    assert "boot: CPU lacks, and must have: CPUID.1:ECX[5] VMX" in m.e9 and "# CPU: not good enough" in board
    for line in ("# VT-d: DMAR is there", "# TPM 2.0: yes", "# TPM 2.0 in the ACPI tables: FIFO registers", "# Secure Boot: off"):
        assert line in board
    with open(os.path.join(TOP, "tests/system/hello.yaml"), encoding="utf-8") as f:
        made = re.sub("^board: .*", "board: {file: board.yaml}", f.read(), flags=re.MULTILINE)
    (tmp_path / "made.yaml").write_text(made)
    tool = [os.path.join(BUILD, "mkconfig"), "check", str(tmp_path / "made.yaml"), "--root", str(tmp_path)]
    assert ": good: 1 partitions, 3 CPUs" in subprocess.run(tool, check=True, capture_output=True, text=True).stdout
    for content, message in (("cpus: 3\n", "board: 'memory' is missing in board.yaml"),
                             ("cpus: [\n", f"board file {tmp_path}/board.yaml, line "),
                             ("cpus: 1\nmemory: 1 GiB\nfile: x\n", f"board file {tmp_path}/board.yaml: it names another file, x"),
                             ("cpus: 0\nmemory: 1 GiB\n", "cpus: 0 is not within 1")):
        (tmp_path / "board.yaml").write_text(content)
        run = subprocess.run(tool, check=False, capture_output=True, text=True)
        assert run.returncode == 1 and f"made.yaml:4: {message}" in run.stderr, run.stderr


@pytest.mark.time_limit(90)
def test_probe_where_vtx_is(machine):
    """In Bochs: the CPU is good; there is no TPM and no DMAR."""
    m = machine(os.path.join(BUILD, "probe.efi"))
    m.wait_for(r"^boot: RESULT probe ok", timeout=60, on="e9")
    assert re.search(r"^boot: CPU: good for configuration", m.e9, re.MULTILINE) and "must have" not in m.e9
    assert "boot: TPM 2.0: none that the firmware lends" in m.e9 and "boot: VT-d: none" in m.e9
    assert "boot: TPM: ACPI table TPM2 is missing" in m.e9
