#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when the inner loops of the hot kernels keep vector registers on the stack.

usage: tests/inference/spills.py OBJDUMP OBJECT:FUNCTION=LIMIT...

A function is judged by its disassembly: instructions with ymm or zmm registers and an operand on the stack (rsp, or rbp as frame pointer) are
counted wherever they are; LIMIT is how many it may have: what its source puts there on purpose, outside of its loops."""
import re
import subprocess
import sys

VECTOR = re.compile(r"%[yz]mm\d+")
START = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")


def count_spills(objdump, path):
    """Spills by function; a function that gcc has cloned counts for its origin."""
    listing = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    spills, name = {}, ""
    for line in listing.splitlines():
        start = START.match(line)
        if start:
            name = start.group(1).split(".")[0]
            spills.setdefault(name, 0)
        elif VECTOR.search(line):
            # the assembly uses rbp as any other register
            on_stack = "(%rsp" in line or ("(%rbp" in line and not name.startswith(("gemm_8_", "narrow_f32_")))
            spills[name] = spills.get(name, 0) + on_stack
    return spills


def main():
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    failed = False
    for rule in sys.argv[2:]:
        path, _, rest = rule.rpartition(":")
        wanted, _, limit = rest.partition("=")
        spills = count_spills(sys.argv[1], path)
        names = [name for name in spills if re.fullmatch(wanted, name)]
        if not names:
            print(f"{path}: no function matches {wanted}")
            failed = True
        for name in names:
            if spills[name] > int(limit):
                print(f"{path}: {name} keeps vector registers on the stack {spills[name]} times, allowed are {limit}")
                failed = True
    if not failed:
        print("no hot kernel spills vector registers")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
