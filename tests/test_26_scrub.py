# SPDX-License-Identifier: Apache-2.0
"""Nothing left behind: a partition's memory is empty before its first use, whatever was in it."""
import re

import pytest

import image
from conftest import built

MEMORY, SHARED, KIT = 4 << 20, 256 << 10, 1 << 20


@pytest.mark.time_limit(100)
def test_memory_is_empty_before_first_use(machine, tmp_path):
    """All free memory holds A5h when the loader starts (tests/noacpi); the partition and its shared memory see none."""
    (tmp_path / "DAMAGE.TXT").write_text("fill")
    files = [(image.path("clean"), "BULKHEAD.EFI"), (str(tmp_path / "DAMAGE.TXT"), "DAMAGE.TXT")]
    m = image.boot(machine, "clean", efi=built("noacpi"), files=[*files, *image.payloads("clean")])
    line = m.wait_for(r"^\[clean\] RESULT clean own=(\d+) shared=(\d+) bytes=(\d+)", timeout=80, on="e9")
    assert (int(line[1]), int(line[2])) == (0, 0)
    rest = MEMORY + SHARED - KIT
    assert rest - (64 << 10) < int(line[3]) < rest, "it did not look at all that is not its own"
    m.wait_for(r"scrubbed (\d+) bytes", timeout=10, on="e9")
    assert re.search(rf"clean: payload .* scrubbed {MEMORY} bytes", m.e9)
