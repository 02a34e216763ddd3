#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A measured start of a built image in QEMU with swtpm, and what stays of it: PCRs, event log. For tools/attest and the tests.

As a program: what measuring costs beside hashing. tools/measured.py build/NAME [RUNS]
"""

import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import eventlog  # noqa: E402
import qemu  # noqa: E402

END = r"^RESULT (core|boot) stop"       # TCG has no VMX: where a good start ends
LOG_LINE = (r"trust: event log ([0-9a-f]+), last event ([0-9a-f]+); final events ([0-9a-f]+), from number (\d+) on")
TAIL = 0x2000           # more than any one event, read behind the last one's start
FINAL = 0x8000          # EDK2's final-events table


def payload_files(build):
    directory = os.path.join(build, "esp")
    return [(os.path.join(directory, name), name) for name in sorted(os.listdir(directory))]


class Start:
    """One start. machine: the machine, ended; its TPM still answers machine.tpm2(). text: what it said. log: the firmware's
    event log with what was measured after it was handed out, None if nothing was measured; events: the same, parsed."""

    def __init__(self, machine):
        self.machine = machine
        self.log, self.events = None, []
        machine.wait_for(END, on="e9")
        machine.settle()
        self.text = machine.e9
        found = re.search(LOG_LINE, self.text)
        if found:
            first, last, final = (int(found[n], 16) for n in (1, 2, 3))
            log = machine.memory_at(first, last - first + TAIL)
            table = machine.memory_at(final, FINAL) if final else bytes(16)
            self.log = eventlog.raw_events(log, last - first, table, int(found[4]))
            self.events = eventlog.parse(self.log)
        machine.kill()

    def pcrs(self, algorithm, numbers=range(16)):
        """The TPM's values."""
        text = self.machine.tpm2("pcrread", f"{algorithm}:{','.join(map(str, numbers))}")
        return {int(n): bytes.fromhex(v) for n, v in re.findall(r"(\d+) *: 0x([0-9A-F]+)", text)}


def start(build, efi=None, files=None, **options):
    """Boots build/NAME to its end."""
    options.setdefault("tpm", "tis")
    machine = qemu.Machine(efi=efi or os.path.join(build, "bulkhead.efi"), files=files or payload_files(build), **options)
    try:
        machine.start()
        return Start(machine)
    finally:
        machine.kill()


# ---- what it costs ---------------------------------------------------------------------------------------------------

COST_LIMIT = 5      # percent


def costs(build, empty):
    """(ticks from the loader's start to the jump, of these for measuring). empty: each measurement is of no data at all, so that
    hashing costs nothing, and what is left is the TPM's and the log's work (tests/noacpi/tcg2.h)."""
    image, files, efi = os.path.join(build, "bulkhead.efi"), payload_files(build), None
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as damage:
        if empty:
            damage.write("tpm empty\n")
            damage.flush()
            files += [(image, "BULKHEAD.EFI"), (damage.name, "DAMAGE.TXT")]
            efi = os.path.join(os.path.dirname(os.path.normpath(build)), "noacpi.efi")
        done = start(build, efi=efi, files=files, memory=768)
    done.machine.cleanup()
    total = re.search(r"loader: (\d+) ticks", done.text)
    return int(total[1]), int(re.search(r"FAILED; banks \w+; (\d+) ticks", done.text)[1])


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    build, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 5
    pairs = [(costs(build, False), costs(build, True)) for _ in range(runs)]
    # Ticks are the host's time: what other work on it adds, it adds to some runs, so that the shortest is nearest to what the way takes.
    rest = min(total - measuring for (total, measuring), _ in pairs)
    beside = min(measuring for _, (_, measuring) in pairs)
    hashing = min(measuring for (_, measuring), _ in pairs) - beside
    print(f"loader to hand-over, ticks, minima of {runs} runs each: {rest} without measuring, {hashing} hashing, "
          f"{beside} the rest of measuring")
    share = 100 * beside / rest
    print(f"figure measured_launch_beside_hashing {share:.1f} % {COST_LIMIT} {'over' if share > COST_LIMIT else 'ok'}")
    return share > COST_LIMIT


if __name__ == "__main__":
    sys.exit(main())
