#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's kernel, started in QEMU with a shell as its first process, and read while it runs: the same pages as QEMU's
# `info tlb` and `info mem` say, and for the process the same as the kernel says in /proc/1/maps. With 4 and 5 levels:
#     tests/tool/linux.sh PAGETABLE [DIRECTORY]
# The packages linux-image-cloud-amd64 and busybox-static are taken from the system, or from DIRECTORY, or are fetched
# there by apt-get; they are not installed. Seconds.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/qemu.sh"
directory=${2:-$root/build/linux}
compare=(python3 "$root/tests/tool/compare.py")

for command in qemu-system-x86_64 python3 dpkg-deb apt-get flock gzip; do
    command -v "$command" >/dev/null || skip "$command is missing"
done

# fetch PACKAGE: its files are below $directory/PACKAGE
fetch()
{
    local directory=$directory/$1
    [[ ! -e $directory/done ]] || return 0
    mkdir -p "$directory"
    (
        cd "$directory" && rm -f ./*.deb && apt-get -qq download "$1" && dpkg-deb -x ./*.deb . && touch done
    ) >"$work/log" 2>&1
}

image=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
[[ -n $image ]] || skip "apt knows no linux-image-cloud-amd64"
mkdir -p "$directory"
exec 8>"$directory/lock"
flock 8
for package in "$image" busybox-static; do
    fetch "$package" || { tail -n 3 "$work/log"; skip "apt-get cannot download $package"; }
done
flock -u 8
kernel=$(ls "$directory/$image"/boot/vmlinuz-*)
busybox=$(ls "$directory"/busybox-static/{usr/,}bin/busybox 2>/dev/null | head -n 1)

mkdir -p "$work/root/bin" "$work/root/proc"
cp "$busybox" "$work/root/bin/busybox"
cat >"$work/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox cat /proc/1/maps
/bin/busybox echo "pagetable: stays"
while :; do :; done
END
chmod +x "$work/root/init"
(cd "$work/root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip >"$work/initrd"

for levels in 4 5; do
    la57=$([[ $levels == 5 ]] && echo on || echo off)
    start_qemu qemu-system-x86_64 -machine q35 -m 256M -cpu "max,la57=$la57" -kernel "$kernel" -initrd "$work/initrd" \
        -append "console=ttyS0 panic=-1 quiet"
    await_line 'pagetable: stays'

    # While it runs, it may change what is being read: stopped, everything has to be the same.
    expect 0 "$tool" dump "gdb:$work/gdb"
    is_status running
    expect 0 "$tool" dump "qmp:$work/qmp"
    is_status running
    ask "$work/said" stop
    expect 0 "$tool" dump -o csv --stay-stopped "gdb:$work/gdb"
    cp "$work/out" "$work/gdb.csv"
    expect 0 "$tool" dump -o csv "qmp:$work/qmp"
    cmp "$work/gdb.csv" "$work/out" || fail "gdb and QMP have it differently"
    is_status paused
    expect 0 "$tool" dump -o json "qmp:$work/qmp"
    says "\"format\": \"$([[ $levels == 5 ]] && echo x86_64_la57 || echo x86_64)\""

    ask "$work/tlb" "info tlb"
    "${compare[@]}" tlb "$work/gdb.csv" "$work/tlb" || fail "not what info tlb says"
    if [[ $levels == 4 ]]; then # with 5, QEMU's `info mem` takes more than a minute, or says nothing (10.0.2)
        ask "$work/mem" "info mem"
        "${compare[@]}" mem "$work/gdb.csv" "$work/mem" || fail "not what info mem says"
    fi
    "${compare[@]}" maps "$work/gdb.csv" "$work/serial" || fail "not what /proc/1/maps says"
done
