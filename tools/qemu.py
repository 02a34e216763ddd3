# SPDX-License-Identifier: Apache-2.0
"""One QEMU machine without VT-x and with everything else: TPM 2.0, Secure Boot, VT-d.

The command line of this module is tools/qemu; the tests use it directly:

    with Machine(efi="build/x/bulkhead.efi", files=files, tpm="tis") as m:
        m.wait_for(r"^RESULT core stop", timeout=60)
        m.kill()
        print(m.tpm2("pcrread", "sha256:11,12"))

It is used as bochs.Machine is. QEMU runs under TCG, which emulates no VMX: an image comes as far as the core's refusal.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time

import bochs
from bochs import BochsError as QemuError

IDENTITY = ["-machine", "q35,kernel-irqchip=split", "-cpu", "max,vendor=GenuineIntel"]
SECURE_IDENTITY = ["-machine", "q35,kernel-irqchip=split,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
                   "-cpu", "max,vendor=GenuineIntel"]
TPM_DEVICES = {"tis": "tpm-tis", "crb": "tpm-crb"}


def root():
    """The private root that tools/setup made for QEMU and the tools around it."""
    found = os.path.join(bochs.cache_dir(), "qemu", "root")
    if not os.path.isfile(found + "/usr/bin/qemu-system-x86_64"):
        raise QemuError("no QEMU found: run tools/setup --only qemu")
    return found


def command(name):
    """The words that run a program of the private root, with its own loader and libraries: takes nothing from the system."""
    lib = root() + "/usr/lib/x86_64-linux-gnu"
    return [lib + "/ld-linux-x86-64.so.2", "--inhibit-cache", "--library-path", f"{lib}:{lib}/swtpm",
            f"{root()}/usr/bin/{name}"]


def environment(**more):
    lib = root() + "/usr/lib/x86_64-linux-gnu"
    return dict(os.environ, LC_ALL="C", QEMU_MODULE_DIR=lib + "/qemu", OPENSSL_MODULES=lib + "/ossl-modules", **more)


def tool(name, *arguments, **options):
    """Runs a program of the private root to its end; an error is QemuError with what it said. Gives its standard output."""
    run = subprocess.run([*command(name), *arguments], env=environment(**options.pop("env", {})), capture_output=True,
                         stdin=subprocess.DEVNULL, check=False, timeout=120 * bochs.TIME_FACTOR, **options)
    if run.returncode != 0:
        raise QemuError(f"{name} {' '.join(arguments)}: {run.stderr.decode(errors='replace').strip()[-2000:]}")
    return run.stdout.decode(errors="replace")


def firmware(name):
    """A file of Debian's package ovmf; it lies beside Bochs."""
    for base in (os.path.join(bochs.cache_dir(), "bochs", "root"), root(), ""):
        found = f"{base}/usr/share/OVMF/{name}"
        if os.path.isfile(found):
            return found
    raise QemuError(f"no {name}: run tools/setup --only bochs")


class Machine(bochs.Machine):
    """One machine. tpm: 'tis', 'crb' or None; secure: firmware with Secure Boot; variables: the firmware's variable store to
    begin with (default: an empty one, so Setup Mode); devices: values of -device, before all others; extra: any words of QEMU."""

    LOG = "qemu.log"

    def __init__(self, efi=None, files=(), esp=None, cpus=1, memory=512, timeout=120, workdir=None, tpm=None, secure=False,
                 variables=None, devices=(), extra=(), on_output=None):
        super().__init__(efi=efi, files=files, esp=esp, cpu="max", cpus=cpus, memory=memory, timeout=timeout,
                         workdir=workdir, on_output=on_output)
        self.tpm_kind, self.secure, self.variables = tpm, secure, variables
        self.devices, self.extra = list(devices), list(extra)
        self.tpm_process = None

    def _words(self):
        words = command("qemu-system-x86_64") + [
            "-L", root() + "/usr/share/qemu", "-L", root() + "/usr/share/seabios", "-accel", "tcg",
            *(SECURE_IDENTITY if self.secure else IDENTITY), "-smp", str(self.cpus), "-m", str(self.memory),
            "-nodefaults", "-display", "none", "-no-reboot", "-net", "none", "-rtc", "base=2000-01-01"]
        for device in self.devices:
            words += ["-device", device]
        code = firmware("OVMF_CODE_4M.secboot.fd" if self.secure else "OVMF_CODE_4M.fd")
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
                  "-drive", "if=pflash,unit=1,format=raw,file=variables.fd",
                  "-drive", "if=none,id=esp,format=raw,file=esp.img", "-device", "ide-hd,drive=esp,bootindex=0"]
        if self.tpm_kind:
            words += ["-chardev", "socket,id=chrtpm,path=tpm.sock", "-tpmdev", "emulator,id=tpm0,chardev=chrtpm",
                      "-device", f"{TPM_DEVICES[self.tpm_kind]},tpmdev=tpm0"]
        return words + ["-debugcon", "stdio", "-serial", "file:com1.txt", "-monitor", "unix:monitor.sock,server=on,wait=off",
                        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", *self.extra]

    def start(self):
        os.makedirs(self.workdir, exist_ok=True)
        for name in ("e9.txt", "com1.txt", "qemu.log", "tpm.sock", "monitor.sock"):
            if os.path.lexists(self.path(name)):
                os.unlink(self.path(name))
        if self.esp:
            shutil.copyfile(self.esp, self.path("esp.img"))
        else:
            bochs.make_esp(self.path("esp.img"), [(self.efi, "EFI/BOOT/BOOTX64.EFI"), *self.files])
        shutil.copyfile(self.variables or firmware("OVMF_VARS_4M.fd"), self.path("variables.fd"))
        words = self._words()
        self.started = time.monotonic()
        if self.tpm_kind:
            self._start_tpm()
        with open(self.path("qemu.log"), "wb") as errors:
            self.process = subprocess.Popen(words, cwd=self.workdir, env=environment(), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        self._watchdog = threading.Timer(self.timeout, self._expire)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._thread(self._read_e9)
        return self

    # ---- the TPM: one of its own for each machine, in WORKDIR/tpm ------------------------------------------------------

    def _start_tpm(self):
        shutil.rmtree(self.path("tpm"), ignore_errors=True)
        os.mkdir(self.path("tpm"))
        self._run_tpm("--ctrl", "type=unixio,path=tpm.sock")
        deadline = time.monotonic() + 20 * bochs.TIME_FACTOR
        while not os.path.exists(self.path("tpm.sock")):
            if self.tpm_process.poll() is not None or time.monotonic() > deadline:
                raise QemuError(f"swtpm did not start:\n{self._read('swtpm.log')}")
            time.sleep(0.01)

    def _run_tpm(self, *how):
        with open(self.path("swtpm.log"), "ab") as log:
            self.tpm_process = subprocess.Popen(
                [*command("swtpm"), "socket", "--tpm2", "--tpmstate", "dir=tpm", *how], cwd=self.workdir,
                env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def kill_tpm(self):
        """Ends the TPM at once: what a machine whose TPM fails sees."""
        if self.tpm_process:
            self.tpm_process.kill()
            self.tpm_process.wait()
            self.tpm_process = None

    def kill(self):
        """Ends the machine. Its TPM's volatile state, the PCRs, is kept for tpm2(): QEMU must not end in good order before,
        since it would tell the TPM to shut down."""
        super().kill()
        if self.tpm_process:
            with contextlib.suppress(QemuError):
                tool("swtpm_ioctl", "--unix", "tpm.sock", "-v", cwd=self.workdir)
            with contextlib.suppress(QemuError):
                tool("swtpm_ioctl", "--unix", "tpm.sock", "-s", cwd=self.workdir)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.tpm_process.wait(5)
            self.kill_tpm()

    @contextlib.contextmanager
    def tpm(self):
        """The ended machine's TPM in the state that the machine left it in. Gives the environment for tpm2-tools."""
        for _ in range(10):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if port > 65000:
                continue
            saved = self.path("tpm/tpm2-00.volatilestate")
            if not os.path.exists(saved):
                raise QemuError("the TPM kept no state: the machine ended by itself")
            shutil.copyfile(saved, self.path("volatilestate"))      # swtpm removes it once it is loaded
            self._run_tpm("--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}",
                          "--flags", "not-need-init")
            deadline = time.monotonic() + 10 * bochs.TIME_FACTOR
            while self.tpm_process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port + 1), 1):
                    break
                time.sleep(0.02)
            if self.tpm_process.poll() is None:
                break
            shutil.copyfile(self.path("volatilestate"), saved)
        else:
            raise QemuError(f"swtpm did not start:\n{self._read('swtpm.log')}")
        try:
            yield {"TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={port}"}
        finally:
            self.kill_tpm()
            shutil.copyfile(self.path("volatilestate"), saved)

    def tpm2(self, *arguments):
        """One tool of tpm2-tools on the ended machine's TPM: tpm2("pcrread", "sha256:4")."""
        with self.tpm() as env:
            return tool("tpm2", *arguments, env=env, cwd=self.workdir)

    def file(self, name):
        """The contents of a file on the ended machine's boot volume, None if there is none."""
        target = self.path("fetched")
        run = subprocess.run([bochs.tool_path("mcopy"), "-n", "-o", "-i", self.path("esp.img"), "::/" + name, target],
                             env=dict(os.environ, MTOOLSRC=os.devnull), capture_output=True, check=False)
        if run.returncode != 0:
            return None
        with open(target, "rb") as f:
            return f.read()

    def memory_at(self, address, size):
        """Bytes of the running machine's physical memory."""
        target = self.path("memory.bin")
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(20 * bochs.TIME_FACTOR)
            monitor.connect(os.path.relpath(self.path("monitor.sock")))
            for words in (None, f"pmemsave {address:#x} {size:#x} memory.bin\n"):
                if words:
                    monitor.sendall(words.encode())
                answer = b""
                while not answer.endswith(b"(qemu) "):
                    answer += monitor.recv(4096)
        with open(target, "rb") as f:
            return f.read()

    # ---- what Bochs says of itself and QEMU does not -------------------------------------------------------------------

    def vmx_complaints(self, allow=()):
        return []

    def dead(self):
        return None
