# SPDX-License-Identifier: Apache-2.0
"""One Bochs machine: start it, watch it, talk to it, end it.

The command line of this module is tools/bochs; the tests use it directly:

    with Machine(efi="build/selfcheck.efi", cpus=2) as m:
        m.wait_for(r"RESULT selfcheck (\\w+)", timeout=60)
        assert not m.vmx_complaints()

Port 0xe9 is the result channel (Machine.e9), COM1 the console (Machine.com1).
Every machine has a wall-clock limit; at its end the whole process group dies.
"""

import fcntl
import hashlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time
import tty

TOOLS = os.path.dirname(os.path.abspath(__file__))
MIN_VERSION = (3, 1)
OVMF_SIZE = 4 * 1024 * 1024
OVMF_ADDRESS = 0xFFC00000
MIB = 1024 * 1024
KEY_PACE = 0.002            # seconds between characters sent to COM1: the UART has no flow control
EXIT_NOT_MENDED = 97        # as in bochsfix.c

# What the emulator's log says, at error level, when VMX is used wrongly.
VMX_COMPLAINT = re.compile(
    r"\d[ep]\[CPU\d+ *\] .*(VMFAIL|VMENTER|VMABORT|FAIL: VMCS|VMX (Load|Store)MSRs|VMEXIT: (Guest State|Error)"
    r"|VMXON|VMPTRLD|VMREAD|VMWRITE|VMCLEAR|INVEPT|INVVPID|is_eptptr_valid|vmfunc_eptp|EPT misconfig|VMX abort)")
# After a triple fault in root mode the machine does nothing any more.
DEAD = re.compile(r"3rd \(\d+\) exception with no resolution")
TELLING = re.compile("|".join([VMX_COMPLAINT.pattern, DEAD.pattern, r"HLT instruction with IF=0"]))

# All time limits are multiplied by this: for machines that are slow, or busy with something else.
TIME_FACTOR = float(os.environ.get("BULKHEAD_TIME_FACTOR", "1"))


class BochsError(Exception):
    """The machine could not be started, or ended, or did not say what was waited for."""


class BochsTimeout(BochsError):
    """A time limit was reached."""


def cache_dir():
    """Where tools/setup keeps what it downloads."""
    base = os.environ.get("BULKHEAD_CACHE")
    if base:
        return os.path.abspath(base)
    xdg = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(xdg, "bulkhead")


def tool_path(name):
    """A host program, from PATH or from the private host root that tools/setup made."""
    private = os.path.join(cache_dir(), "host", "root", "usr", "bin")
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", private])
    found = shutil.which(name, path=path)
    if not found:
        raise BochsError(f"{name} is not installed: run tools/setup")
    return found


class Emulator:
    """A Bochs binary with the firmware and libraries that go with it."""

    def __init__(self, argv, version, ovmf, vgabios, env, origin):
        self.argv, self.version, self.ovmf = argv, version, ovmf
        self.vgabios, self.env, self.origin = vgabios, env, origin

    @property
    def binary(self):
        return self.argv[-1]

    def fingerprint(self):
        """Changes when the emulator, its firmware or our mends change."""
        digest = hashlib.sha256()
        for path in (self.binary, self.ovmf, self.vgabios, os.path.join(TOOLS, "bochsfix.c"),
                     os.path.join(TOOLS, "bochs.py")):
            with open(path, "rb") as f:
                digest.update(hashlib.sha256(f.read()).digest())
        return digest.hexdigest()


def _first_file(*paths):
    return next((p for p in paths if p and os.path.isfile(p)), None)


def _system_version(binary):
    """(3, 1) for 'Bochs x86 Emulator 3.1'; None when it does not say."""
    try:
        out = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=20,
                             stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    m = re.search(r"Bochs x86 Emulator (\d+)\.(\d+)", out.stdout + out.stderr)
    return (int(m[1]), int(m[2])) if m else None


def _ovmf_in(prefix, required=True):
    found = _first_file(os.environ.get("BULKHEAD_OVMF"), prefix + "/usr/share/ovmf/OVMF.fd",
                        prefix + "/usr/share/OVMF/OVMF.fd")
    if found and os.path.getsize(found) == OVMF_SIZE:
        return found
    if required:
        raise BochsError("no OVMF.fd of 4 MiB found; run tools/setup or set BULKHEAD_OVMF")
    return None


def _vgabios_in(prefix, required=True):
    share = prefix + "/usr/share/"
    found = _first_file(share + "bochs/VGABIOS-lgpl-latest", share + "bochs/VGABIOS-lgpl-latest.bin",
                        share + "vgabios/vgabios.bin", share + "bochs/VGABIOS-lgpl/VGABIOS-lgpl-latest.bin")
    if found or not required:
        return found
    raise BochsError("no VGA BIOS found beside Bochs; run tools/setup")


def locate():
    """The emulator to use: BULKHEAD_BOCHS, the system's if new enough, or the private root."""
    chosen = os.environ.get("BULKHEAD_BOCHS")
    if chosen:
        version = _system_version(chosen)
        if not version or version < MIN_VERSION:
            raise BochsError(f"BULKHEAD_BOCHS={chosen} is not Bochs 3.1 or later; unset it and run tools/setup")
        return Emulator([chosen], "%d.%d" % version, _ovmf_in(""), _vgabios_in(""), {}, "BULKHEAD_BOCHS")
    root = os.path.join(cache_dir(), "bochs", "root")
    binary = root + "/usr/bin/bochs-bin"
    if os.path.isfile(binary):
        lib = root + "/usr/lib/x86_64-linux-gnu"
        loader = _first_file(root + "/lib64/ld-linux-x86-64.so.2", root + "/usr/lib64/ld-linux-x86-64.so.2",
                             lib + "/ld-linux-x86-64.so.2")
        try:
            with open(os.path.join(cache_dir(), "bochs", "version"), encoding="utf-8") as f:
                version = f.read().strip()
        except OSError:
            version = "unknown"
        if loader:
            env = {"LTDL_LIBRARY_PATH": lib + "/bochs/plugins", "BXSHARE": root + "/usr/share/bochs"}
            # The private root's own loader with its own libraries: needs no chroot, no
            # namespace and no privilege, and takes nothing from the system.
            argv = [loader, "--inhibit-cache", "--library-path", lib, binary]
            return Emulator(argv, version, _ovmf_in(root), _vgabios_in(root), env, "private root")
    for name in ("bochs-bin", "bochs"):
        binary = shutil.which(name)
        version = binary and _system_version(binary)
        if version and version >= MIN_VERSION and _ovmf_in("", False) and _vgabios_in("", False):
            return Emulator([binary], "%d.%d" % version, _ovmf_in(""), _vgabios_in(""), {}, "system")
    raise BochsError("no Bochs 3.1 found: run tools/setup")


def bochsfix():
    """Path of the shared object that mends the emulator; built when its source has changed."""
    source = os.path.join(TOOLS, "bochsfix.c")
    with open(source, "rb") as f:
        tag = hashlib.sha256(f.read()).hexdigest()[:16]
    target = os.path.join(cache_dir(), "bochs", f"bochsfix-{tag}.so")
    if os.path.isfile(target):
        return target
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise BochsError("no C compiler to build tools/bochsfix.c: install gcc")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    stage = f"{target}.{os.getpid()}.tmp"
    run = subprocess.run([compiler, "-O2", "-Wall", "-fPIC", "-shared", "-pthread", "-o", stage, source],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise BochsError(f"tools/bochsfix.c does not compile:\n{run.stderr}")
    os.rename(stage, target)
    return target


def check_mended(report, returncode):
    """Refuses an emulator whose division is wrong; `report` is what bochsfix wrote."""
    if returncode == EXIT_NOT_MENDED or "wrong" in report:
        raise BochsError("this Bochs computes wrongly and could not be mended; nothing it says can be trusted:\n"
                         f"{report.strip()}\nSee tools/bochsfix.c; run tools/doctor --fresh.")
    if "bochsfix done" not in report:
        raise BochsError("bochsfix.so was not loaded into Bochs (stderr.txt says why), so its division is unchecked; "
                         f"remove {cache_dir()}/bochs/bochsfix-*.so and try again")


def make_esp(image, files):
    """Writes a FAT image of the needed size (16 MB or more). files: [(source, path in the image)]."""
    need = sum(os.path.getsize(src) + 64 * 1024 for src, _ in files)
    size = max(16, (need + need // 16) // MIB + 4)
    if os.path.exists(image):
        os.unlink(image)
    with open(image, "wb") as f:
        f.truncate(size * MIB)
    env = dict(os.environ, MTOOLSRC=os.devnull, MTOOLS_SKIP_CHECK="1")

    def mtool(name, *args):
        run = subprocess.run([tool_path(name), "-i", image, *args], env=env, capture_output=True, text=True,
                             check=False, stdin=subprocess.DEVNULL)
        if run.returncode != 0:
            raise BochsError(f"{name} {' '.join(args)} failed: {run.stderr.strip()}")

    mtool("mformat", *(["-F"] if size > 512 else []), "::")
    made = set()
    for _, name in files:
        parts = name.strip("/").split("/")[:-1]
        for i in range(1, len(parts) + 1):
            folder = "/".join(parts[:i])
            if folder.upper() not in made:
                made.add(folder.upper())
                mtool("mmd", "::/" + folder)
    for src, name in files:
        mtool("mcopy", src, "::/" + name.strip("/"))


def _no_network():
    """A command prefix that takes the network away (Bochs always opens a VNC port), or nothing."""
    flags = ["-n"] if os.geteuid() == 0 else ["-r", "-n"]
    tool = shutil.which("unshare")
    if tool and subprocess.run([tool, *flags, "true"], capture_output=True, check=False).returncode == 0:
        return [tool, *flags]
    return []


class Machine:
    """One emulated machine. All times are wall-clock seconds."""

    LOG = "bochs.log"           # what the emulator says of itself

    def __init__(self, efi=None, files=(), esp=None, cpu="tigerlake", cpus=1, quantum=4, memory=512,
                 exclude="", ips=20_000_000, ticks_limit=None, timeout=120, workdir=None, com1="file",
                 debug_exits=False, overrides=(), debugger_rc=None, on_output=None):
        if esp and (efi or files):
            raise BochsError("give either an ESP image or files for one, not both")
        if not esp and not efi:
            raise BochsError("nothing to boot: give an .efi file or an ESP image")
        for path in [esp, efi, *(src for src, _ in files)]:
            if path and not os.path.isfile(path):
                raise BochsError(f"{path}: no such file (not built yet?)")
        self.efi, self.files, self.esp = efi, list(files), esp
        self.cpu, self.cpus, self.quantum, self.memory = cpu, cpus, quantum, memory
        self.exclude, self.ips, self.ticks_limit, self.timeout = exclude, ips, ticks_limit, timeout * TIME_FACTOR
        self.com1_mode, self.debug_exits, self.overrides = com1, debug_exits, list(overrides)
        self.debugger_rc = os.path.abspath(debugger_rc) if debugger_rc else None
        self.on_output = on_output
        self._own_workdir = workdir is None
        self.workdir = os.path.abspath(workdir or tempfile.mkdtemp(prefix="bulkhead-bochs-"))
        self.process = None
        self.timed_out = False
        self.started = None
        self._text = {"e9": "", "com1": ""}
        self._com1_offset = 0
        self._log_offset = 0
        self._telling = []
        self._changed = threading.Condition()
        self._threads = []
        self._watchdog = None
        self._master = None
        self._keys = bytearray()
        self._key_event = threading.Event()
        self._listener = None
        self._peers = []
        self._ended = False

    # ---- files of the run -------------------------------------------------

    def path(self, name):
        return os.path.join(self.workdir, name)

    def _read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    @property
    def e9(self):
        with self._changed:
            return self._text["e9"]

    @property
    def com1(self):
        self._poll_com1()
        with self._changed:
            return self._text["com1"]

    @property
    def log(self):
        """All of bochs.log; with debug_exits that may be gigabytes."""
        return self._read("bochs.log")

    def _log_end(self):
        try:
            with open(self.path(self.LOG), "rb") as f:
                f.seek(max(0, os.path.getsize(f.name) - 16384))
                return f.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _scan_log(self):
        """Takes the telling lines out of what is new in bochs.log."""
        try:
            with open(self.path("bochs.log"), "rb") as f:
                f.seek(self._log_offset)
                new = f.read(64 * MIB)
        except FileNotFoundError:
            return
        new = new[:new.rfind(b"\n") + 1]
        self._log_offset += len(new)
        text = new.decode("utf-8", errors="replace")
        for found in TELLING.finditer(text):
            self._telling.append(text[text.rfind("\n", 0, found.start()) + 1:text.find("\n", found.end())])

    def vmx_complaints(self, allow=()):
        """Lines of the log that say VMX was used wrongly, without those that match `allow`."""
        self._scan_log()
        allowed = [re.compile(a) for a in allow]
        return [line for line in self._telling
                if VMX_COMPLAINT.search(line) and not any(a.search(line) for a in allowed)]

    def dead(self):
        """The log line after which the machine does nothing any more, or None."""
        self._scan_log()
        return next((line for line in self._telling if DEAD.search(line)), None)

    # ---- configuration ----------------------------------------------------

    def _bochsrc(self, emulator, com1):
        exclude = ",".join(filter(None, re.split(r"[,\s]+", self.exclude or "")))
        cpu = (f"cpu: model={self.cpu}, count={self.cpus}, ips={self.ips}, quantum={self.quantum}, "
               f"reset_on_triple_fault=0, cpuid_freq=ips")
        if exclude:
            cpu += f', exclude_features="{exclude}"'
        debug = "debug: action=ignore"
        if self.debug_exits:
            count = 1
            for part in str(self.cpus).split(":"):
                count *= int(part)
            debug += "".join(f", cpu{i}=report" for i in range(count))
        lines = [
            "plugin_ctrl: unmapped=1, biosdev=1, speaker=0, serial=1",
            "config_interface: textconfig",
            'display_library: rfb, options="timeout=0"',
            f"memory: guest={self.memory}, host={self.memory}",
            f'romimage: file="{emulator.ovmf}", address={OVMF_ADDRESS:#x}',
            "fw_cfg: enabled=1",
            f'vgaromimage: file="{emulator.vgabios}"',
            cpu,
            "pci: enabled=1, chipset=i440fx",
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
            "ata0-master: type=disk, path=esp.img, mode=flat",
            "boot: disk",
            "clock: sync=none, time0=946684800",
            com1,
            "port_e9_hack: enabled=1",
            "log: bochs.log",
            "panic: action=fatal",
            "error: action=report",
            "info: action=report",
            debug,
        ]
        for override in self.overrides:
            key, sep, value = override.partition("=")
            if not sep or ":" in key:       # a whole line, "clock: sync=slowdown"
                lines.append(override)
            elif "." in key:                # one parameter, "cpu.quantum=1"
                option, parameter = key.split(".", 1)
                lines.append(f"{option}: {parameter}={value}")
            else:                           # an option with one value, "boot=disk"
                lines.append(f"{key}: {value}")
        return "\n".join(lines) + "\n"

    # ---- life -------------------------------------------------------------

    def start(self):
        emulator = locate()
        fix = bochsfix()
        os.makedirs(self.workdir, exist_ok=True)
        for name in os.listdir(self.workdir):
            if name.endswith(".lock") or name in ("bochs.log", "e9.txt", "com1.txt", "mends.txt", "stderr.txt"):
                os.unlink(self.path(name))
        if self.esp:
            shutil.copyfile(self.esp, self.path("esp.img"))
        else:
            make_esp(self.path("esp.img"), [(self.efi, "EFI/BOOT/BOOTX64.EFI"), *self.files])

        slave = None
        if self.com1_mode == "file":
            com1 = "com1: enabled=1, mode=file, dev=com1.txt"
        else:
            self._master, slave = pty.openpty()
            tty.setraw(slave)
            com1 = f"com1: enabled=1, mode=term, dev={os.ttyname(slave)}"
        with open(self.path("bochsrc"), "w", encoding="utf-8") as f:
            f.write(self._bochsrc(emulator, com1))

        env = dict(os.environ, LC_ALL="C", BOCHSFIX_REPORT=self.path("mends.txt"), **emulator.env)
        # By a relative name: the loader splits its list at blanks and colons.
        if os.path.lexists(self.path("bochsfix.so")):
            os.unlink(self.path("bochsfix.so"))
        os.symlink(fix, self.path("bochsfix.so"))
        if self.quantum == 1:
            env["BOCHSFIX_TURNS"] = "1"
        argv, prefix = list(emulator.argv), []
        if len(argv) > 1:
            argv[1:1] = ["--preload", "./bochsfix.so"]
        else:
            prefix = ["env", "LD_PRELOAD=./bochsfix.so"]       # for Bochs alone, not for unshare
        env["BOCHSFIX_POKE"] = self.path("poke")
        env["BOCHSFIX_PARENT"] = str(os.getpid())
        argv = _no_network() + prefix + argv + ["-q", "-f", "bochsrc"]
        if self.ticks_limit:
            argv += ["-benchmark", str(self.ticks_limit)]
        if self.debugger_rc:
            argv += ["-debugger", "-rc", self.debugger_rc]

        self.started = time.monotonic()
        with open(self.path("stderr.txt"), "wb") as errors:
            self.process = subprocess.Popen(argv, cwd=self.workdir, env=env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        self._watchdog = threading.Timer(self.timeout, self._expire)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._thread(self._read_e9)
        if self._master is not None:
            self._slave = slave             # kept open, so that the line survives the emulator's end
            self._thread(self._read_pty)
            self._thread(self._write_keys)
        if self.com1_mode == "socket":
            self._listen()
        try:
            self._check_start()
        except BochsError:
            self.kill()
            raise
        return self

    def _check_start(self):
        deadline = time.monotonic() + 20
        while "bochsfix done" not in self._read("mends.txt"):
            # The log comes after the mends, so without them they will not come any more.
            if self.process.poll() is not None or self.log or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        report = self._read("mends.txt")
        if self.process.poll() not in (None, EXIT_NOT_MENDED) and "bochsfix done" not in report:
            raise BochsError(f"Bochs did not start:\n{self._read('stderr.txt').strip()[-2000:]}")
        check_mended(report, self.process.poll())

    def _thread(self, target):
        t = threading.Thread(target=target, daemon=True)
        t.start()
        self._threads.append(t)

    def _expire(self):
        self.timed_out = True
        self._kill_group()
        with self._changed:
            self._changed.notify_all()

    def _kill_group(self):
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def running(self):
        return self.process is not None and self.process.poll() is None

    def seconds(self):
        """Wall-clock seconds since the start."""
        return time.monotonic() - self.started if self.started else 0.0

    def kill(self):
        """Ends the machine and everything it started. Safe to call twice."""
        if self._ended:
            return
        self._ended = True
        if self._watchdog:
            self._watchdog.cancel()
        self._kill_group()
        if self.process:
            self.process.wait()
            self._threads[0].join(5)        # the rest of e9
            self.process.stdout.close()
        self._key_event.set()
        if self._master is not None:
            for _ in range(20):             # the rest of com1
                before = len(self._text["com1"])
                time.sleep(0.01)
                if len(self._text["com1"]) == before:
                    break
            os.close(self._slave)           # ends the reader
            for t in self._threads[1:]:
                t.join(2)
            os.close(self._master)
        if self._listener:
            self._listener.close()
            if os.path.exists(self.path("com1.sock")):
                os.unlink(self.path("com1.sock"))
        self._poll_com1()

    def cleanup(self):
        """Removes the work directory, unless the caller chose it."""
        if self._own_workdir:
            shutil.rmtree(self.workdir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.kill()
        if kind is None:
            self.cleanup()

    # ---- streams ----------------------------------------------------------

    def _add(self, name, data):
        text = data.decode("utf-8", errors="replace")
        with self._changed:
            self._text[name] += text
            self._changed.notify_all()
        if self.on_output:
            self.on_output(name, data)

    def _read_e9(self):
        fd = self.process.stdout.fileno()
        with open(self.path("e9.txt"), "wb", buffering=0) as copy:
            data = self._after_banner(fd)
            while True:
                if data:
                    copy.write(data)
                    self._add("e9", data)
                data = os.read(fd, 4096)
                if not data:
                    break
        with self._changed:
            self._changed.notify_all()

    @staticmethod
    def _after_banner(fd):
        """Bochs' standard output is port 0xe9, after a banner between two lines of '='. Skips that."""
        head = b""
        while head.count(b"=\n") < 2:
            byte = os.read(fd, 1)
            head += byte
            if not byte or head[:1] != b"=" or len(head) > 1000:
                return head                 # no banner after all
        return b""

    def _read_pty(self):
        with open(self.path("com1.txt"), "wb", buffering=0) as copy:
            while True:
                try:
                    data = os.read(self._master, 4096)
                except OSError:
                    break
                if not data:
                    break
                copy.write(data)
                self._add("com1", data)
                for peer in list(self._peers):
                    try:
                        peer.sendall(data)
                    except OSError:
                        self._peers.remove(peer)

    def _write_keys(self):
        while not self._ended:
            self._key_event.wait(1.0)
            self._key_event.clear()
            while self._keys and not self._ended:
                if not self._unread():          # or a burst overruns the UART when Bochs has had no CPU for a while
                    os.write(self._master, self._keys[:1])
                    del self._keys[:1]
                time.sleep(KEY_PACE)

    def _unread(self):
        """Characters typed that Bochs has not fetched yet."""
        try:
            return int.from_bytes(fcntl.ioctl(self._slave, termios.FIONREAD, bytes(4)), "little")
        except OSError:                         # closed: the machine ends
            return 1

    def _poll_com1(self):
        """In file mode Bochs writes com1.txt itself; take what is new."""
        if self.com1_mode != "file":
            return
        try:
            with open(self.path("com1.txt"), "rb") as f:
                f.seek(self._com1_offset)
                data = f.read()
        except FileNotFoundError:
            return
        if data:
            self._com1_offset += len(data)
            self._add("com1", data)

    def _listen(self):
        path = self.path("com1.sock")
        if os.path.exists(path):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.path.relpath(path) if len(path) > 100 else path)
        self._listener.listen(4)
        self._thread(self._accept)

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            threading.Thread(target=self._from_peer, args=(peer,), daemon=True).start()

    def _from_peer(self, peer):
        while True:
            try:
                data = peer.recv(4096)
            except OSError:
                data = b""
            if not data:
                if peer in self._peers:
                    self._peers.remove(peer)
                return
            self.send(data)

    def send(self, text):
        """Types text into the emulated COM1 (machines with com1='pty', 'socket' or 'tty')."""
        if self._master is None:
            raise BochsError("this machine's COM1 is a file; start it with com1='pty'")
        self._keys += text.encode() if isinstance(text, str) else text
        self._key_event.set()

    # ---- waiting ----------------------------------------------------------

    def poke(self, address, byte, timeout=10):
        """Change a byte of the machine's physical memory behind its back."""
        with open(self.path("poke.new"), "w", encoding="utf-8") as f:
            f.write(f"{address:x} {byte:x}\n")
        os.rename(self.path("poke.new"), self.path("poke"))
        end = time.monotonic() + timeout
        while os.path.exists(self.path("poke")):
            if time.monotonic() > end:
                raise BochsError("the emulator has not taken the changed byte")
            time.sleep(0.02)

    def mark(self):
        """A position in both streams, for wait_for(since=...)."""
        self._poll_com1()
        with self._changed:
            return {name: len(text) for name, text in self._text.items()}

    def _search(self, pattern, on, since):
        with self._changed:
            for name, text in self._text.items():
                if on in (name, "any"):
                    found = pattern.search(text, since[name] if since else 0)
                    if found:
                        return found
        return None

    def wait_for(self, regex, timeout=None, on="any", since=None):
        """Waits until regex (re.MULTILINE) appears on 'e9', 'com1' or 'any' and gives the match.

        Raises BochsTimeout after `timeout` seconds (never later than the machine's own
        limit), BochsError when the machine ended or died before.
        """
        pattern = re.compile(regex, re.MULTILINE)
        limit = time.monotonic() + (timeout * TIME_FACTOR if timeout is not None else self.timeout)
        next_look = 0.0
        while True:
            ended = not self.running()
            if ended:
                self._threads[0].join(2)
            self._poll_com1()
            found = self._search(pattern, on, since)
            if found:
                if found.end() == len(found.string):    # the line may not be whole yet
                    self.settle(limit=0.5)
                    found = self._search(pattern, on, since)
                return found
            now = time.monotonic()
            if self.timed_out or now > limit:
                raise BochsTimeout(self.report(f"{regex!r} did not appear within {self.seconds():.0f} s"))
            if ended:
                raise BochsError(self.report(f"the machine ended before {regex!r} appeared"))
            if now > next_look:
                next_look = now + 0.5
                dead = self.dead()
                if dead:
                    self.kill()
                    if not self._search(pattern, on, since):
                        raise BochsError(self.report(f"the machine is dead ({dead.strip()}) before {regex!r} appeared"))
            with self._changed:
                self._changed.wait(0.05)

    def settle(self, quiet=0.05, limit=1.0):
        """Waits until nothing more is written for `quiet` seconds, at most `limit`."""
        end, before = time.monotonic() + limit, None
        while self.running() and time.monotonic() < end and self.mark() != before:
            before = self.mark()
            time.sleep(quiet)

    def wait_end(self):
        """Waits until the machine ends by itself, is dead or reaches its limit."""
        while self.running() and not self.dead():
            self._poll_com1()
            with self._changed:
                self._changed.wait(0.2)
        self.kill()

    def report(self, headline):
        """The headline and the last lines of everything, for an error message."""
        def tail(text, count=12):
            lines = [line.rstrip() for line in text.replace("\r", "").splitlines() if line.strip()]
            return "\n".join("    " + re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]", "", line) for line in lines[-count:])
        self._scan_log()
        parts = [headline, "  port 0xe9, last lines:", tail(self.e9), "  com1, last lines:", tail(self.com1),
                 f"  {self.LOG}, last lines:", tail(self._log_end(), 6)]
        if self._telling:
            parts += ["  bochs.log, telling lines:", "\n".join("    " + line for line in self._telling[-10:])]
        parts.append(f"  all of it: {self.workdir}")
        return "\n".join(parts)
