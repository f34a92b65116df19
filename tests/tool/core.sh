#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A core that QEMU wrote of the kernel in examples/kernel: `dump` finds format and root by itself, and says what QEMU's
# `info mem` says: tests/tool/core.sh PAGETABLE [KERNEL.ELF]
. "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
kernel=${2:-}

command -v qemu-system-x86_64 >/dev/null || { echo "skipped: qemu-system-x86_64 is missing"; exit 77; }
if [[ -z $kernel ]]; then
    kernel=$work/kernel/kernel.elf
    { cmake -S "$root/examples/kernel" -B "$work/kernel" -DARCH=x86_64 -DNAME=x86_64 -DFORMAT=pt_x86_64 &&
        cmake --build "$work/kernel"; } >"$work/log" 2>&1 || { tail -n 5 "$work/log"; echo "skipped: no kernel"; exit 77; }
fi

# Without its exit device the kernel stays where it ended.
(sleep 8; printf 'stop\ninfo mem\ninfo registers\ndump-guest-memory %s\nquit\n' "$work/core") |
    timeout 60 qemu-system-x86_64 -accel tcg -display none -nodefaults -serial "file:$work/serial" -monitor stdio \
        -no-reboot -m 256M -machine q35 -cpu max,la57=off -kernel "$kernel" >"$work/monitor" 2>&1
[[ -s $work/core ]] || { cat "$work/monitor"; fail "QEMU wrote no core"; }

expect 0 "$tool" dump -o csv "$work/core"
# What `info mem` has: ranges with equal rights, u r w; the frames do not matter.
awk -F, 'NR > 1 { print $1, $2, (index($5, "u") ? "u" : "-") "r" (index($5, "w") ? "w" : "-") }' "$work/out" |
    while read -r vaddr size rights; do
        printf '%016x %016x %s\n' $((vaddr & 0xffffffffffff)) $(((vaddr & 0xffffffffffff) + size)) "$rights"
    done | awk '{ if ($1 == end && $3 == rights) { end = $2 } else { if (NR > 1) print start, end, rights; start = $1; end = $2; rights = $3 } }
        END { print start, end, rights }' >"$work/ours"
tr -d '\r' <"$work/monitor" | grep -oE '[0-9a-f]{16}-[0-9a-f]{16} [0-9a-f]{16} [u-]r[w-]' |
    awk '{ split($1, a, "-"); print substr("0000" substr(a[1], 5), 1), "0000" substr(a[2], 5), $3 }' >"$work/theirs"
[[ -s $work/theirs ]] || { cat "$work/monitor"; fail "info mem said nothing"; }
diff "$work/theirs" "$work/ours" || fail "not what QEMU's info mem says"
