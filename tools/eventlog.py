# SPDX-License-Identifier: Apache-2.0
"""The TPM event log of a firmware (TCG PC Client Platform Firmware Profile 1.05, section 10): read, merged, replayed.

Also the PE image's Authenticode digest, which firmware measures into PCR 4. Everything is bounds-checked: a log is untrusted input.
"""

import hashlib
import struct
from typing import NamedTuple

ALGORITHMS = {0x4: "sha1", 0xB: "sha256", 0xC: "sha384", 0xD: "sha512"}
SIZES = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
EV_NO_ACTION, EV_SEPARATOR, EV_EVENT_TAG = 3, 4, 6
EV_EFI_ACTION, EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000007, 0x80000003
PCRS = 24
LOCALITY_RESET = range(17, 23)      # of ones at start, all others of zeros


class LogError(Exception):
    """The log, or the image, is not what it should be."""


class Event(NamedTuple):
    pcr: int
    kind: int
    digests: dict       # algorithm's name to digest
    data: bytes

    def text(self):
        """Of a tagged event: what its tag says."""
        if self.kind != EV_EVENT_TAG or len(self.data) < 8:
            return ""
        size, = struct.unpack_from("<I", self.data, 4)
        return self.data[8:8 + size].decode(errors="replace")


def _take(data, at, form):
    try:
        return struct.unpack_from(form, data, at), at + struct.calcsize(form)
    except struct.error:
        raise LogError(f"cut short at byte {at} of {len(data)}") from None


def _event(data, at, sizes):
    (pcr, kind, count), at = _take(data, at, "<III")
    if pcr >= PCRS or count > 16:
        raise LogError(f"byte {at - 12}: PCR {pcr} with {count} digests is no event")
    digests = {}
    for _ in range(count):
        (algorithm,), at = _take(data, at, "<H")
        if algorithm not in sizes:
            raise LogError(f"byte {at - 2}: algorithm {algorithm:#x} is not in the log's header")
        (digests[ALGORITHMS.get(algorithm, algorithm)],), at = _take(data, at, f"{sizes[algorithm]}s")
    (size,), at = _take(data, at, "<I")
    (text,), at = _take(data, at, f"{size}s")
    return Event(pcr, kind, digests, text), at


def _header(data):
    """Sizes of the log's algorithms, and where the events begin."""
    (pcr, kind, _, size), at = _take(data, 0, "<II20sI")
    if pcr or kind != EV_NO_ACTION or data[at:at + 16] != b"Spec ID Event03\0":
        raise LogError("no crypto-agile log: it does not begin with 'Spec ID Event03'")
    (count,), here = _take(data, at + 24, "<I")
    sizes = {}
    for _ in range(min(count, 16)):
        (algorithm, length), here = _take(data, here, "<HH")
        sizes[algorithm] = length
    return sizes, at + size


def parse(log, last=None, final=None, known=0):
    """Events of a log. last: offset of its last event (else: to its end). final: the firmware's final-events table, of which
    the log already has the first `known`; those behind are appended."""
    sizes, at = _header(log)
    events = []
    while at < len(log) and (last is None or at <= last):
        event, at = _event(log, at, sizes)
        events.append(event)
    if final is not None:
        (_, count), at = _take(final, 0, "<QQ")
        for number in range(count):
            event, at = _event(final, at, sizes)
            if number >= known:
                events.append(event)
    return events


def raw_events(log, last, final, known):
    """The same merge, as one log in bytes for other tools."""
    sizes, at = _header(log)
    while at <= last:
        _, at = _event(log, at, sizes)
    merged = log[:at]
    (_, count), at = _take(final, 0, "<QQ")
    for number in range(count):
        start = at
        _, at = _event(final, at, sizes)
        if number >= known:
            merged += final[start:at]
    return merged


def extend(value, algorithm, digest):
    return hashlib.new(algorithm, value + digest).digest()


def replay(events, algorithm):
    """What the events make of the PCRs: {number: value}, those that some event extends."""
    values = {}
    for e in events:
        if e.kind == EV_NO_ACTION:
            if e.data.startswith(b"StartupLocality\0") and len(e.data) > 16:
                values[0] = bytes(SIZES[algorithm] - 1) + e.data[16:17]
        elif algorithm in e.digests:
            start = (b"\xff" if e.pcr in LOCALITY_RESET else b"\0") * SIZES[algorithm]
            values[e.pcr] = extend(values.get(e.pcr, start), algorithm, e.digests[algorithm])
    return values


def authenticode(image, algorithm="sha256"):
    """Digest of a PE image without its checksum and signatures ("Windows Authenticode Portable Executable Signature Format")."""
    (pe,), _ = _take(image, 0x3C, "<I")
    if image[:2] != b"MZ" or image[pe:pe + 4] != b"PE\0\0":
        raise LogError("not a PE image")
    (sections, size), _ = _take(image, pe + 6, "<H12xH")
    optional = pe + 24
    checksum, security = optional + 64, optional + 144      # PE32+
    (headers,), _ = _take(image, optional + 60, "<I")
    (signatures,), _ = _take(image, security + 4, "<I")
    digest = hashlib.new(algorithm)
    digest.update(image[:checksum] + image[checksum + 4:security] + image[security + 8:headers])
    parts = []
    for n in range(sections):
        (length, start), _ = _take(image, optional + size + 40 * n + 16, "<II")
        if length:
            parts.append((start, length))
    done = headers
    for start, length in sorted(parts):
        digest.update(image[start:start + length])
        done += length
    digest.update(image[done:len(image) - signatures])
    return digest.digest()
