#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each subcommand on images made by `build`, and its exit status: tests/tool/commands.sh PAGETABLE
. "$(dirname "$0")/lib.sh"

cat >"$work/text" <<'END'
format x86_64
tables 0x100000
map 0x400000 0x200000 0x3000 r-xu-           # a comment
map 0x600000 0x300000 0x3000 rw-u- page=4K
map 0xffff800000000000 0 4G rw--g
END
expect 0 "$tool" build "$work/text" -o "$work/raw"
says 'cr3 = 0x100000'
says 'efer |= 0x900'
at=(-f x86_64 -r 0x100000 "$work/raw@0x100000")

# dump: three forms, and what comes back is the same image.
expect 0 "$tool" dump "${at[@]}"
says '0xffff800000000000-0xffff8000ffffffff -> 0x0000000000000000     4G of   1G rw--g'
[[ $(wc -l <"$work/out") == 3 ]] || fail "dump has more than three lines"
expect 0 "$tool" dump -o csv "${at[@]}"
says '0x600000,0x3000,0x300000,0x1000,rw-u-'
for form in json description; do
    expect 0 "$tool" dump -o "$form" "${at[@]}"
    cp "$work/out" "$work/again"
    expect 0 "$tool" build "$work/again" -o "$work/raw2"
    cmp "$work/raw" "$work/raw2" || fail "$form does not lead back"
done
expect 0 "$tool" dump -o json --tree "${at[@]}"
says '"level":3,"index":2,"vaddr":"0x402000","bits":"0x202005","leaf":true,"paddr":"0x202000"'

# explain
expect 0 "$tool" explain "${at[@]}" 0x401abc --user
says '0x201abc'
expect 1 "$tool" explain "${at[@]}" 0x401abc --user --write
says 'fault'
says 'code 0x7'
expect 1 "$tool" explain -o json "${at[@]}" 0x500000
says 'PT_REASON_NOT_PRESENT'
expect 1 "$tool" explain "${at[@]}" 0x401abc --execute --cpu=smep
expect 2 "$tool" explain "${at[@]}" here

# audit
expect 0 "$tool" audit "${at[@]}"
sed 's/r-xu-/rwxu-/' "$work/text" >"$work/bad"
expect 0 "$tool" build "$work/bad" -o "$work/raw2"
bad=(-f x86_64 -r 0x100000 "$work/raw2@0x100000")
expect 1 "$tool" audit "${bad[@]}"
says 'warning: write-execute: 0x0000000000400000, 12K'
expect 1 "$tool" audit -o json "${bad[@]}"
says '"rule":"write-execute"'
expect 0 "$tool" audit --ignore=write-execute "${bad[@]}"
expect 0 "$tool" audit --severity=error "${bad[@]}"
expect 2 "$tool" audit --ignore=nonsense "${bad[@]}"

# diff
expect 1 "$tool" diff "${at[@]}" "$work/raw2@0x100000"
says '- 0x0000000000400000-0x0000000000402fff -> 0x0000000000200000    12K of   4K r-xu-'
says '+ 0x0000000000400000-0x0000000000402fff -> 0x0000000000200000    12K of   4K rwxu-'
[[ $(wc -l <"$work/out") == 2 ]] || fail "diff has more than two lines"
expect 0 "$tool" diff --ignore=w "${at[@]}" "$work/raw2@0x100000"
expect 0 "$tool" diff "${at[@]}"

# build as a C array and as an object: the same bytes
expect 0 "$tool" build "$work/text" -F c -o "$work/tables.c"
says 'root 0x100000'
grep -oE '0x[0-9a-f]{2},' "$work/tables.c" | sed 's/0x\(..\),/\\x\1/' | tr -d '\n' >"$work/escaped"
printf '%b' "$(cat "$work/escaped")" >"$work/from_c" 2>/dev/null
[[ $(grep -oE '0x[0-9a-f]{2},' "$work/tables.c" | wc -l) == $(wc -c <"$work/raw") ]] || fail "the array's size"
expect 0 "$tool" build "$work/text" -F elf -o "$work/tables.o"
if command -v objcopy >/dev/null; then
    objcopy -O binary -j .pagetable "$work/tables.o" "$work/from_elf" || fail "objcopy"
    cmp "$work/raw" "$work/from_elf" || fail "the object has other bytes"
fi

# Trouble, with its place
while IFS='|' read -r line message; do
    printf 'format x86_64\n%s\n' "$line" >"$work/wrong"
    expect 2 "$tool" build "$work/wrong" -o "$work/none"
    says "$message"
    says "$work/wrong:2:"
done <<'END'
nonsense 1|nonsense: no such line
map 1 2 3|map takes
map x 0 4K r|x is no virtual address
map 0 0 4K q|q: rights are
map 0 0 0x10 r|PT_NOT_ALIGNED
map 0x800000000000 0 4K r|PT_BAD_ADDRESS
map 0 0 4K r page=8K|PT_NOT_ALIGNED
option svnapot=1|takes no value
END
printf '{"format": "sv39",\n "ranges": [{"vaddr": 0}]}\n' >"$work/wrong"
expect 2 "$tool" build "$work/wrong" -o "$work/none"
says 'ranges[0]'
printf '{"format": \n' >"$work/wrong"
expect 2 "$tool" build "$work/wrong" -o "$work/none"
says "$work/wrong:2:"
expect 2 "$tool" dump -f nonsense -r 0 "$work/raw"
expect 2 "$tool" dump "$work/raw"
says '--format and --root'
expect 2 "$tool" dump -f x86_64 -r 0x100001 "$work/raw@0x100000"
expect 2 "$tool" dump -f x86_64 -r 0x200000 "$work/raw@0x100000"
says 'holds nothing at 0x200000'
expect 2 "$tool" dump -f x86_64 -r 0 "$work/absent"
expect 2 "$tool"

# A root whose 512 entries all lead to itself comes to an end, and says that it was not all.
for ((i = 0; i < 512; i++)); do printf '\x07\x00\x10\0\0\0\0\0'; done >"$work/loop"
expect 2 "$tool" dump --limit=100000 -f x86_64 -r 0x100000 "$work/loop@0x100000"
says 'was not all'
expect 2 "$tool" diff --limit=100000 -f x86_64 -r 0x100000 "$work/loop@0x100000"
expect 2 "$tool" audit --limit=100000 -f x86_64 -r 0x100000 "$work/loop@0x100000"
says 'loop'
