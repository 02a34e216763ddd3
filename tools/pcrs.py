#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the TPM's PCRs will hold when a built image has started: make pcrs. docs/trust.md explains each.

  pcr NUMBER ALGORITHM VALUE

PCRs 11 to 13 are Bulkhead's own, and follow from the files alone. PCR 4 is the firmware's: what it has run, in which order.
Without --log it is computed for a firmware that starts the image as its first boot option, as OVMF does and the TCG's profile
asks for. With --log FILE, an event log of that machine with any image of ours, its order of events is taken, and the digest of
our image put in.
"""

import argparse
import hashlib
import json
import os
import re
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import eventlog  # noqa: E402
from eventlog import EV_EFI_BOOT_SERVICES_APPLICATION, SIZES  # noqa: E402

PCR_BOOT, PCR_CORE, PCR_CONFIG, PCR_PAYLOADS = 4, 11, 12, 13        # boot/trust.h
CORE_MAGIC = 0x45524F434B4C5542
IMAGE_SIZE_AT, CONFIG_AT = 32, 48 + 6 * 16 + 8 + 8 * 12 + 4         # in struct core_header, boot/handoff.h
CALLING = b"Calling EFI Application from Boot Option"
POLICIES = ("keylime_tpm_policy.json", "keylime_refstate.json")


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def components(build, payloads):
    """(PCR, what, bytes) of all that the loader measures, in its order."""
    core = read(build, "core.bin")
    magic, image_size = struct.unpack_from("<Q24xQ", core)
    start, size = struct.unpack_from("<II", core, CONFIG_AT)
    if magic != CORE_MAGIC or not 0 < start < start + size < image_size <= len(core):
        sys.exit(f"pcrs: {build}/core.bin is not a core of this version: build it again")
    with open(os.path.join(build, "config.c"), encoding="utf-8") as f:
        tables = f.read()
    name = re.search(r'^const struct config config = {.*?\.name = "(.*?)"', tables, re.MULTILINE | re.DOTALL)[1]
    yield PCR_CORE, "core code", core[:start]
    yield PCR_CONFIG, "configuration " + name, core[start:start + size]
    yield PCR_CORE, "core data", core[start + size:image_size]
    for file in re.findall(r'^\t\t\t\.file = "(.*)",$', tables, re.MULTILINE):
        yield PCR_PAYLOADS, "payload " + file, read(payloads, file)


def boot_digests(image, algorithm, log):
    """Digests that go into PCR 4."""
    ours = eventlog.authenticode(image, algorithm)
    if log is None:
        return [hashlib.new(algorithm, CALLING).digest(), hashlib.new(algorithm, bytes(4)).digest(), ours]
    events = [e for e in log if e.pcr == PCR_BOOT and e.kind != eventlog.EV_NO_ACTION]
    images = [n for n, e in enumerate(events) if e.kind == EV_EFI_BOOT_SERVICES_APPLICATION]
    if not images:
        sys.exit("pcrs: the log has no image in PCR 4")
    return [ours if n == images[-1] else e.digests[algorithm] for n, e in enumerate(events)]


def predict(build, image=None, payloads=None, log=None):
    """{algorithm: {PCR: value}}"""
    image = read(image or os.path.join(build, "bulkhead.efi"))
    parts = list(components(build, payloads or os.path.join(build, "esp")))
    values = {}
    for algorithm, size in SIZES.items():
        digests = [(PCR_BOOT, d) for d in boot_digests(image, algorithm, log)]
        digests += [(pcr, hashlib.new(algorithm, part).digest()) for pcr, _, part in parts]
        values[algorithm] = mine = {}
        for pcr, digest in digests:
            mine[pcr] = eventlog.extend(mine.get(pcr, bytes(size)), algorithm, digest)
    return values


def policies(build, values):
    """For Keylime: values of PCRs, and digests of events for its measured-boot policy (docs/trust.md)."""
    image = read(build, "bulkhead.efi")
    events = [{"pcr": pcr, "event": what, "digests": {a: hashlib.new(a, part).hexdigest() for a in SIZES}}
              for pcr, what, part in components(build, os.path.join(build, "esp"))]
    return {
        POLICIES[0]: {str(pcr): [values[a][pcr].hex() for a in SIZES] for pcr in sorted(values["sha256"])},
        POLICIES[1]: {"bulkhead": {"image": {a: eventlog.authenticode(image, a).hex() for a in SIZES}, "events": events}},
    }


def main():
    p = argparse.ArgumentParser(prog="tools/pcrs.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", help="directory of a built configuration: build/NAME")
    p.add_argument("--image", metavar="FILE", help="the image, where it is not BUILD/bulkhead.efi (signing does not change its digest)")
    p.add_argument("--payloads", metavar="DIR", help="the payload files, where they are not in BUILD/esp")
    p.add_argument("--log", metavar="FILE", help="an event log of the machine, for PCR 4")
    p.add_argument("--events", action="store_true", help="print the digests of the components, too")
    p.add_argument("--keylime", action="store_true", help=f"write BUILD/{POLICIES[0]} and {POLICIES[1]}")
    args = p.parse_args()
    try:
        values = predict(args.build, args.image, args.payloads, eventlog.parse(read(args.log)) if args.log else None)
        if args.events:
            for pcr, what, part in components(args.build, args.payloads or os.path.join(args.build, "esp")):
                print(f"event {pcr} sha256 {hashlib.sha256(part).hexdigest()} {what}")
        for algorithm, pcrs in values.items():
            for pcr, value in sorted(pcrs.items()):
                print(f"pcr {pcr} {algorithm} {value.hex()}")
        for name, content in policies(args.build, values).items() if args.keylime else ():
            with open(os.path.join(args.build, name), "w", encoding="utf-8") as f:
                json.dump(content, f, indent=1, sort_keys=True)
                f.write("\n")
    except (OSError, eventlog.LogError, struct.error) as e:
        sys.exit(f"pcrs: {e}; is {args.build} a built configuration with the key trust?")


if __name__ == "__main__":
    main()
