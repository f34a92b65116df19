#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Build the kernels and boot them in QEMU: examples/kernel/run.sh [NAME...]
# Ends with 0 when all have passed, 1 when one has failed, 77 when none failed but some could not be run.
set -u -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$here/../../build/kernel}
all=(x86_64 x86_64-la57 x86_32 x86_32-pae
    aarch64 aarch64-16k aarch64-64k aarch64-lpa2 aarch64-64k-52 aarch64-contiguous
    riscv64-sv39 riscv64-sv48 riscv64-sv57 riscv64-svnapot
    aarch64-el2 aarch64-stage2 aarch64-stage2-16k aarch64-stage2-64k
    aarch64-stage2-52 aarch64-stage2-level-minus-1 aarch64-stage2-16k-52 aarch64-stage2-64k-52
    armv7 riscv64-sv39x4 riscv64-sv48x4 riscv64-sv57x4 loongarch64 loongarch64-3level)
qemu_needed=10.0.2
seconds=20  # a whole run takes about one
kilobytes=1024 # of output

usage()
{
    echo "usage: $0 [NAME...], of: ${all[*]}"
}

# What is special about a kernel: arch, CMake options, qemu program, its flags, the status that means "passed".
describe()
{
    arch=${1%%-*} options=() passed=0
    case $1 in
    x86_64)
        machine=(-machine q35 -cpu 'max,la57=off' -device 'isa-debug-exit,iobase=0xf4,iosize=4')
        passed=33
        ;;
    x86_64-la57)
        machine=(-machine q35 -cpu max -device 'isa-debug-exit,iobase=0xf4,iosize=4')
        options=(-DFORMAT=pt_x86_64_la57 -DVARIANT=LA57)
        passed=33
        ;;
    x86_32 | x86_32-pae)
        machine=(-machine q35 -cpu 'max,la57=off' -device 'isa-debug-exit,iobase=0xf4,iosize=4')
        options=(-DFORMAT=pt_x86_32)
        [ "$1" = x86_32 ] || options=(-DFORMAT=pt_x86_pae -DVARIANT=PAE)
        passed=33
        ;;
    aarch64)
        machine=(-M virt -cpu max -semihosting-config 'enable=on,target=native')
        ;;
    aarch64-16k | aarch64-64k | aarch64-64k-52)
        machine=(-M virt -cpu max -semihosting-config 'enable=on,target=native')
        options=(-DFORMAT="pt_${1//-/_}")
        ;;
    aarch64-lpa2)
        machine=(-M virt -cpu max -semihosting-config 'enable=on,target=native')
        options=(-DFORMAT=pt_aarch64_4k_52)
        ;;
    aarch64-contiguous)
        machine=(-M virt -cpu max -semihosting-config 'enable=on,target=native')
        options=(-DVARIANT=CONTIGUOUS)
        ;;
    aarch64-el2)
        machine=(-M 'virt,virtualization=on' -cpu max -semihosting-config 'enable=on,target=native')
        options=(-DFORMAT=pt_aarch64_el2 -DVARIANT=EL2)
        ;;
    aarch64-stage2*)
        machine=(-M 'virt,virtualization=on' -cpu max -semihosting-config 'enable=on,target=native')
        options=(-DFORMAT="$(grep -o 'stage2\(-16k\|-64k\)\?' <<< "$1" | sed 's/^/pt_aarch64_/; s/-/_/')" -DVARIANT=GUEST)
        case $1 in
        *-52) options+=("-DVARIANT=GUEST;WIDE") ;;
        *-level-minus-1) options+=("-DVARIANT=GUEST;WIDE;LEVEL_MINUS_1") ;;
        esac
        ;;
    armv7)
        machine=(-M virt -cpu cortex-a15 -semihosting-config 'enable=on,target=native')
        ;;
    riscv64-sv39 | riscv64-sv48 | riscv64-sv57)
        machine=(-M virt -cpu rv64 -bios none)
        options=(-DFORMAT="pt_${1#*-}")
        ;;
    riscv64-sv39x4 | riscv64-sv48x4 | riscv64-sv57x4)
        machine=(-M virt -cpu rv64 -bios none)
        options=(-DFORMAT="pt_${1#*-}" -DVARIANT=GUEST)
        ;;
    riscv64-svnapot)
        machine=(-M virt -cpu 'rv64,svnapot=on,svpbmt=on' -bios none)
        options=(-DFORMAT=pt_sv39 -DVARIANT=SVNAPOT)
        ;;
    loongarch64)
        machine=(-M virt -cpu la464 -device pvpanic-pci -action panic=exit-failure)
        ;;
    loongarch64-*)
        options=(-DFORMAT="pt_${1/-/_}" -DVARIANT="$(tr a-z A-Z <<< "${1#*-}")")
        machine=(-M virt -cpu la464 -device pvpanic-pci -action panic=exit-failure)
        ;;
    *)
        return 1
        ;;
    esac
    qemu=qemu-system-$(sed 's/^x86_32$/x86_64/; s/^armv7$/arm/' <<< "$arch")
}

# Says why a program cannot be used; older versions get RISC-V and LoongArch wrong.
missing()
{
    local version

    if ! command -v "$qemu" > /dev/null; then
        echo "$qemu is missing"
        return 0
    fi
    version=$("$qemu" --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    if [ "$(printf '%s\n' "$qemu_needed" "$version" | sort -V | head -n 1)" != "$qemu_needed" ]; then
        echo "$qemu is version ${version:-unknown}, older than $qemu_needed"
        return 0
    fi
    return 1
}

build_kernel()
{
    cmake -S "$here" -B "$build/$1" -DARCH="$arch" -DNAME="$1" "${options[@]}" &&
        cmake --build "$build/$1" --parallel
}

# Bounded in time, size of output, and without a core file; a livelocked QEMU does not hear SIGTERM.
run_kernel()
{
    (
        ulimit -c 0
        ulimit -f "$kilobytes"
        exec timeout -k 1 "$seconds" "$qemu" -accel tcg -display none -nodefaults -serial stdio -no-reboot \
            -m 256M "${machine[@]}" -kernel "$build/$1/kernel.elf" < /dev/null > "$build/$1/output" 2>&1
    )
}

# Both the status and the last line: either alone can be had by accident.
judge()
{
    local status=$1 name=$2 last

    last=$(tail -n 1 "$build/$name/output" | tr -d '\r')
    if [ "$status" -ne "$passed" ]; then
        echo "FAIL (status $status, not $passed)"
    elif [ "$last" != "pagetable: all checks passed on $name" ]; then
        echo "FAIL (status is right, the last line is not)"
    else
        echo "pass"
    fi
}

kernels=("$@")
if [ $# -eq 0 ]; then
    kernels=("${all[@]}")
fi
for name in "${kernels[@]}"; do
    if ! describe "$name"; then
        usage >&2
        exit 2
    fi
done

table=() failed=0 skipped=0
for name in "${kernels[@]}"; do
    describe "$name"
    echo "==== $name"
    took=-
    if why=$(missing); then
        result="skipped: $why"
        skipped=1
        echo "$why. It takes QEMU $qemu_needed or newer: Debian 13 has it, Debian 12 in bookworm-backports" \
            "(qemu-system-x86 qemu-system-arm qemu-system-misc qemu-system-riscv)."
    elif ! log=$(build_kernel "$name" 2>&1); then
        result="FAIL (does not build)"
        echo "$log" | tail -n 40
    else
        start=$(date +%s%N)
        run_kernel "$name"
        status=$?
        took=$((($(date +%s%N) - start) / 10000000))
        took=$(printf '%d.%02d' $((took / 100)) $((took % 100)))
        head -c $((kilobytes * 1024)) "$build/$name/output"
        result=$(judge "$status" "$name")
    fi
    case $result in FAIL*) failed=1 ;; esac
    table+=("$(printf '%-18s %8s  %s' "$name" "$took" "$result")")
done

printf '\n%-18s %8s  %s\n' kernel seconds result
printf '%s\n' "${table[@]}"
if [ $failed -ne 0 ]; then
    exit 1
elif [ $skipped -ne 0 ]; then
    exit 77
fi
