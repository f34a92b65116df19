#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what `pagetable dump -o csv` says with what QEMU says of the same CPU, or the kernel itself.

    compare.py tlb|mem|riscv|kernel|maps DUMP.CSV... THEIRS     differences, and status 1 if there are any
    compare.py probes DUMP.CSV...                          a gva2gpa for the first and the last byte of each range
    compare.py answers|guarded DUMP.CSV... THEIRS          ... and whether QEMU's walker found the same; guarded: the
                                                           CPU is in a mode that finds no user pages (PAN, no SUM)

tlb, mem: x86's `info tlb` and `info mem`; riscv: RISC-V's `info mem`; kernel: what a kernel of examples/kernel that
stays has written of its address space; maps: the /proc/PID/maps of a Linux process, of which not all has to be present, nor
writable yet. Accessed and dirty are left out: a range has them if one of its pages has.
"""
import csv
import re
import sys


class Range:
    def __init__(self, vaddr, size, paddr, page_size, flags):
        self.vaddr, self.size, self.paddr, self.page_size = vaddr, size, paddr, page_size
        self.rights = flags.rstrip("AD")

    def has(self, letter):
        return letter in self.rights


def ranges(files):
    for name in files:
        with open(name, encoding="ascii") as file:
            for row in csv.DictReader(file):
                yield Range(*(int(row[key], 16) for key in ("vaddr", "size", "paddr", "page_size")), row["flags"])


def merged(rows):
    """Neighbours that go on where the one before ended: rows are [start, physical or None, size, rights]."""
    result = []
    for start, physical, size, rights in rows:
        last = result[-1] if result else None
        if (last and last[0] + last[2] == start and last[3] == rights and
                (physical is None or last[1] + last[2] == physical)):
            last[2] += size
        else:
            result.append([start, physical, size, rights])
    return {"%016x %s %x %s" % (start, "-" if physical is None else "%x" % physical, size, rights)
            for start, physical, size, rights in result}


def letters(pairs):
    return "".join(letter if is_there else "-" for letter, is_there in pairs)


def ours_tlb(all_ranges):
    for one in all_ranges:
        rights = letters((("x", one.has("x")), ("g", one.has("g")), ("L", one.page_size > 4096),
                          ("C", one.has("d") or one.has("n")), ("T", one.has("d")), ("u", one.has("u")),
                          ("w", one.has("w"))))
        for at in range(0, one.size, one.page_size):
            yield "%016x %x %s" % (one.vaddr + at, one.paddr + at, rights)


def theirs_tlb(text):
    """Columns: no-execute, global, large, dirty, accessed, PCD, PWT, user, writable. With PAE no-execute is in the address, too."""
    for vaddr, paddr, bits in re.findall(r"^([0-9a-f]{16}): ([0-9a-f]{16}) ([-XGPDACTUW]{9})\s*$", text, re.M):
        yield "%s %x %s" % (vaddr, int(paddr, 16) & ~(1 << 63),
                            letters((("x", bits[0] == "-"), ("g", bits[1] == "G"), ("L", bits[2] == "P"),
                                     ("C", bits[5] == "C"), ("T", bits[6] == "T"), ("u", bits[7] == "U"),
                                     ("w", bits[8] == "W"))))


def ours_mem(all_ranges):
    """Addresses without sign, as QEMU has them up to 48 bits: rights as the whole path gives them."""
    return merged([one.vaddr, None, one.size, letters((("u", one.has("u")), ("r", True), ("w", one.has("w"))))]
                  for one in all_ranges)


def theirs_mem(text):
    rows = []
    for start, end, size, rights in re.findall(r"^([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{16}) ([u-]r[w-])\s*$", text, re.M):
        if (int(end, 16) - int(start, 16)) % (1 << 64) != int(size, 16):
            sys.exit("info mem contradicts itself at " + start)
        rows.append([int(start, 16), None, int(size, 16), rights])
    return merged(rows)


def ours_riscv(all_ranges):
    return merged([one.vaddr, one.paddr, one.size, letters((letter, one.has(letter)) for letter in "rwxug")]
                  for one in all_ranges)


def theirs_riscv(text):
    return merged([int(vaddr, 16), int(paddr, 16), int(size, 16), rights] for vaddr, paddr, size, rights in
                  re.findall(r"^([0-9a-f]{8,16}) ([0-9a-f]{16}) ([0-9a-f]{8,16}) ([-rwxug]{5})[-ad]{2}\s*$", text, re.M))


UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def in_bytes(text):
    return int(text.rstrip("KMGT")) * UNITS[text.lstrip("0123456789")]


def ours_kernel(all_ranges):
    for one in all_ranges:
        yield "%x %x %x %x %s" % (one.vaddr, one.size, one.paddr, one.page_size, one.rights)


def theirs_kernel(text):
    """From the last time on that it shows the linear map: the upper half may have a list of its own."""
    tables = re.split(r"^address space.*$", text, flags=re.M)[2:]
    for start, end, paddr, _, page, rights, kind in re.findall(
            r"^  0x([0-9a-f]+)-0x([0-9a-f]+) -> 0x([0-9a-f]+) +(\w+) of +(\w+) ([-rwxug]{5})(.*)$", "".join(tables), re.M):
        yield "%x %x %x %x %s%s" % (int(start, 16), int(end, 16) + 1 - int(start, 16), int(paddr, 16), in_bytes(page),
                                    rights, "d" if "device" in kind else "n" if "uncached" in kind else "")


def compare_maps(all_ranges, text):
    """Each user page lies in an area that allows as much; each area but the kernel's own pages has some."""
    areas = [(int(start, 16), int(end, 16), rights) for start, end, rights in
             re.findall(r"^([0-9a-f]+)-([0-9a-f]+) ([-rwx]{3})[ps] ", text, re.M)]
    pages, used = 0, set()
    for one in all_ranges:
        for at in range(one.vaddr, one.vaddr + one.size, one.page_size) if one.has("u") else ():
            area = next((area for area in areas if area[0] <= at < area[1]), None)
            if not area:
                sys.exit("no area has the user page %x" % at)
            if one.has("w") and area[2][1] != "w" or one.has("x") != (area[2][2] == "x"):
                sys.exit("the page %x is %s, the area at %x %s" % (at, one.rights, area[0], area[2]))
            used.add(area)
            pages += 1
    if len(used) < 5:
        sys.exit("%d areas have pages" % len(used))
    print("maps: %d pages in %d of %d areas" % (pages, len(used), len(areas)))


def probes(all_ranges):
    for one in all_ranges:
        yield one, one.vaddr, one.paddr
        yield one, one.vaddr + one.size - 1, one.paddr + one.size - 1


def main():
    kind, files = sys.argv[1], sys.argv[2:]
    if kind == "probes":
        for _, vaddr, _ in probes(ranges(files)):
            print("gva2gpa 0x%x" % vaddr)
        return
    with open(files.pop(), encoding="utf-8", errors="replace") as file:
        text = file.read().replace("\r", "")
    if kind == "maps":
        compare_maps(ranges(files), text)
        return
    if kind in ("answers", "guarded"):
        ours = ["%d %s" % (number, "Unmapped" if kind == "guarded" and one.has("u") else "%x" % paddr)
                for number, (one, _, paddr) in enumerate(probes(ranges(files)))]
        theirs = ["%d %s" % (number, paddr.lstrip("0") or "0") for number, paddr in
                  enumerate(re.findall(r"^(?:gpa: (?:0x)?)?(Unmapped|[0-9a-f]+)$", text, re.M))]
    else:
        ours = list(globals()["ours_" + kind](ranges(files)))
        theirs = list(globals()["theirs_" + kind](text))
    if not theirs:
        sys.exit("QEMU, or the kernel, said nothing")
    for line in sorted(set(theirs) - set(ours))[:20]:
        print("theirs:", line)
    for line in sorted(set(ours) - set(theirs))[:20]:
        print("ours:  ", line)
    if set(ours) != set(theirs):
        sys.exit("%d of theirs are not ours, %d of ours not theirs" %
                 (len(set(theirs) - set(ours)), len(set(ours) - set(theirs))))
    print("%s: %d lines, all alike" % (kind, len(theirs)))


main()
