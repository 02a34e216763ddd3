# SPDX-License-Identifier: Apache-2.0
"""A measured-boot policy for Keylime's verifier: the boot log must show the image and the components of one build, and no others.

    measured_boot_imports = ["keylime_bulkhead"]        # verifier.conf; this file on the verifier's PYTHONPATH
    measured_boot_policy_name = "bulkhead"

The reference state is build/NAME/keylime_refstate.json, which make pcrs writes. Keylime itself checks the quote, and that the log
explains the PCRs; this says what the log must be. Written for keylime.mba (7.9 and later).
"""

from keylime.mba.elchecking import policies, tests

IMAGE = (4, "EV_EFI_BOOT_SERVICES_APPLICATION")
OURS = (11, 12, 13)


class _Log(tests.Test):
    def __init__(self, reference):
        super().__init__()
        self.image, self.events = reference["image"], reference["events"]

    @staticmethod
    def _is(event, digests):
        """Every digest that the event has must be the reference's."""
        have = {d["AlgorithmId"]: d["Digest"].removeprefix("0x") for d in event["Digests"]}
        return bool(have) and all(digests.get(name) == value for name, value in have.items())

    def why_not(self, globs, subject):
        events = [e for e in subject["events"] if "Digests" in e]
        images = [e for e in events if (e["PCRIndex"], e["EventType"]) == IMAGE]
        ours = [e for e in events if e["PCRIndex"] in OURS]
        if len(images) != 1 or not self._is(images[0], self.image):
            return "has another image than bulkhead.efi of the reference, or more than one, in PCR 4"
        if len(ours) != len(self.events):
            return f"has {len(ours)} events in PCRs 11 to 13, the reference {len(self.events)}"
        for have, want in zip(ours, self.events):
            if have["PCRIndex"] != want["pcr"] or not self._is(have, want["digests"]):
                return f"has another {want['event']} in PCR {have['PCRIndex']} than the reference"
        return ""


class Bulkhead(policies.Policy):
    def get_relevant_pcrs(self):
        return frozenset({IMAGE[0], *OURS})

    def refstate_to_test(self, refstate):
        return _Log(refstate["bulkhead"])


policies.register("bulkhead", Bulkhead())
