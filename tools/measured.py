# SPDX-License-Identifier: Apache-2.0
"""A measured start of a built image in QEMU with swtpm, and what stays of it: PCRs, event log. For tools/attest and the tests."""

import os
import re

import eventlog
import qemu

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
