# SPDX-License-Identifier: Apache-2.0
"""What `make test-images` built: the image of a configuration, its payload files, and changed copies of both."""

import os
import shutil
import subprocess

import pytest

import bochs
from conftest import BUILD, TOP

CORE_BASE = 0xFFFFFFFF80000000
W_LIMIT = 1500          # instructions: docs/scheduling.md


def path(name, file="bulkhead.efi"):
    found = os.path.join(BUILD, name, file)
    if not os.path.exists(found):
        pytest.fail(f"{found} is not built: run make test-images", pytrace=False)
    return found


def payloads(name, **changed):
    """(source, name on the volume) of each payload file; payloads("hello", hello=None) leaves one out."""
    directory = path(name, "esp")
    files = [(changed.get(f.partition(".")[0], os.path.join(directory, f)), f)
             for f in sorted(os.listdir(directory))]
    return [(source, f) for source, f in files if source]


def boot(machine, name, efi=None, files=None, **options):
    """A machine with that configuration's image, or with `efi` in its place."""
    return machine(str(efi or path(name)), files=payloads(name) if files is None else files, **options)


def symbols(name):
    """Symbols of the core: name to address."""
    lines = subprocess.run([bochs.tool_path("nm"), path(name, "core.elf")], check=True, capture_output=True, text=True)
    return {words[-1]: int(words[0], 16) for words in map(str.split, lines.stdout.splitlines()) if len(words) == 3}


def patched(name, to, address, new):
    """A copy of the image at `to` with the bytes `new` at that virtual address of the core."""
    with open(path(name), "rb") as f:
        image = bytearray(f.read())
    with open(path(name, "core.bin"), "rb") as f:
        core = f.read()
    assert image.count(core) == 1, "core.bin and bulkhead.efi are not of one build: run make test-images"
    at = image.index(core) + address - CORE_BASE
    image[at:at + len(new)] = new
    to.write_bytes(image)
    return to


def rebuilt(name, to, old, new):
    """An image in directory `to` whose generated tables have `new` in the place of the text `old`."""
    directory = os.path.join(to, name)
    shutil.copytree(os.path.dirname(path(name)), directory)     # times are kept: little has to be made again
    tables = os.path.join(directory, "config.c")
    with open(tables, encoding="utf-8") as f:
        text = f.read()
    assert text.count(old) == 1, f"{old!r} is not in {tables}, or more than once"
    with open(tables, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
    make(TOP, f"CONFIG=tests/system/{name}.yaml", f"OBJDIR={directory}", "image")
    return os.path.join(directory, "bulkhead.efi")


def make(directory, *arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")} | environment
    run = subprocess.run(["make", "-C", directory, *arguments], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"make {' '.join(arguments)}:\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
