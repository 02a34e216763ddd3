# SPDX-License-Identifier: Apache-2.0
"""Joins the terminal on standard input to a machine's COM1."""

import os
import select
import sys
import termios
import tty

CTRL_Q = b"\x11"


def _pass_on(keys, prefix):
    """What of the keys goes to the machine; whether Ctrl-Q was the last one; whether the user quits."""
    out = bytearray()
    for key in (keys[i:i + 1] for i in range(len(keys))):
        if prefix and key in b"qQ":
            return bytes(out), False, True
        if key != CTRL_Q or prefix:
            out += key
        prefix = key == CTRL_Q and not prefix
    return bytes(out), prefix, False


def join(machine, each=lambda: None):
    """Until the machine ends or Ctrl-Q q; True if the user quit. Ctrl-Q Ctrl-Q sends a Ctrl-Q.

    `each` is called some five times a second."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    prefix = quits = False
    try:
        tty.setraw(fd)
        while machine.running() and not machine.dead() and not quits:
            each()
            if not select.select([fd], [], [], 0.2)[0]:
                continue
            keys = os.read(fd, 1024)
            out, prefix, quits = _pass_on(keys, prefix)
            quits = quits or not keys
            if out:
                machine.send(out)
        return quits
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        print(file=sys.stderr)
