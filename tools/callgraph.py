# SPDX-License-Identifier: Apache-2.0
"""The call graph of the linked core, read from its disassembly: who calls whom, who needs how much stack.

Frames are counted high: every push and every subtraction from RSP of a function, as if all were on one path. A jump into
another function is a call that returns for us. Where a function calls through a pointer, INDIRECT says which functions
that may be; one that is not listed there is a problem.
"""

import re
import subprocess

# Function: those that its pointers may lead to. A name that ends in * stands for all that begin so.
INDIRECT = {
    "vmx_exit": ["exit_*"],             # handlers[]
    "exit_vmcall": ["call_*"],          # calls[]
    "print_arguments": ["put_core", "console_raw"],
    "walk_tables": ["read_table"],
    "bridge": ["pci_read"],             # vtd/dmar.c, by pci_resolve() and dmar_resolve()
    "pci_resolve": ["pci_read"],
    "dmar_resolve": ["pci_read"],
    "pci_find": ["map_table"],
    "vtd_find": ["map_table"],
    "acpi_open": ["map_table"],
    "acpi_find": ["map_table"],
    "acpi_cpus": ["map_table"],
    "acpi_interrupts": ["map_table"],
    "trust_report_table": ["map_table"],
    "madt": ["map_table"],              # core/acpi.c
    "linear_translate": ["read_number"],
    "walk_64": ["read_number"],         # these two: vmx/linear.c
    "walk_32": ["read_number"],
    "acpi_pm_timer": ["map_table"],
    "check": ["map_table"],             # core/acpi.c
}
EXCEPTION_FRAME = 22 * 8                # struct exception_frame: what CPU and core/entry.asm push


class Graph:
    def __init__(self, elf):
        self.frame, self.calls, self.problems = {}, {}, []
        out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", elf], check=True, capture_output=True, text=True).stdout
        name = None
        for line in out.splitlines():
            start = re.match(r"[0-9a-f]+ <(.+)>:$", line)
            if start:
                name = start[1]
                # Static functions may share a name: they are taken as one, with the largest frame and all calls.
                before, self.frame[name] = self.frame.get(name, 0), 0
                self.calls.setdefault(name, set())
                largest = before
            elif name:
                self._instruction(name, line)
                self.frame[name] = max(self.frame[name], 0)
                largest = max(largest, self.frame[name])
            if name and largest > self.frame[name]:
                self.frame[name] = largest
        self._resolve()

    def _instruction(self, name, line):
        if re.search(r"\tpush", line):
            self.frame[name] += 8
        move = re.search(r"\t(sub|add) +\$0x([0-9a-f]+),%rsp", line)
        if move:    # the compiler also writes "add -128"
            by = int(move[2], 16)
            by -= (by >> 63) << 64
            self.frame[name] += max(0, by if move[1] == "sub" else -by)
        if re.search(r"\t(sub|add) +%\w+,%rsp|\tlea +-\w+\(%rsp\),%rsp", line):
            self.problems.append(f"{name}: a stack frame whose size is not seen: {line.strip()}")
        target = re.search(r"\t(call|jmp|j\w+) +[0-9a-f]+ <([^+>]+)(\+0x[0-9a-f]+)?>", line)
        # A call into a function's own middle is the stuffing of the return stack (vmx/flush.c), not recursion.
        if target and (target[2] != name or (target[1] == "call" and not target[3])):
            self.calls[name].add(target[2])
        if re.search(r"\t(call|jmp) +\*", line):
            self.calls[name].add("*")

    def _resolve(self):
        for name, callees in self.calls.items():
            if "*" not in callees:
                continue
            callees.discard("*")
            patterns = INDIRECT.get(name.split(".")[0])
            if patterns is None:
                self.problems.append(f"{name} calls through a pointer: say in tools/callgraph.py where that leads")
                continue
            for pattern in patterns:
                matching = [f for f in self.frame if f == pattern or (pattern[-1] == "*" and f.startswith(pattern[:-1]))]
                callees.update(matching)
                if not matching:
                    self.problems.append(f"tools/callgraph.py: {name}: there is no function {pattern}")

    def edge_count(self):
        return sum(len(c) for c in self.calls.values())

    def cycles(self):
        """One line for each way back to a function that is still running."""
        found, done = [], set()

        def visit(name, trail):
            if name in trail:
                found.append(" > ".join(trail[trail.index(name):] + [name]))
                return
            if name in done:
                return
            for callee in sorted(self.calls.get(name, ())):
                visit(callee, trail + [name])
            done.add(name)

        for name in sorted(self.calls):
            visit(name, [])
        return found

    def worst(self, entry):
        """Bytes of stack that a call of `entry` may take, and the functions on that path."""
        memory = {}

        def depth(name):
            if name not in memory:
                below = max((depth(c) for c in self.calls.get(name, ())), key=lambda d: d[0], default=(0, []))
                memory[name] = 8 + self.frame.get(name, 0) + below[0], [name] + below[1]
            return memory[name]

        return depth(entry)
