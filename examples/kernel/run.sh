#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Build the kernels and boot them in QEMU: examples/kernel/run.sh [KERNEL|FORMAT...]
# Ends with 0 when all have passed, 1 when one has failed, 77 when none failed but some could not be run.
set -u -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$here/../../build/kernel}
qemu_needed=10.0.2
seconds=60     # a whole run takes about one
kilobytes=1024 # of output

# A line for each: kernel, architecture, format, variant, QEMU's -cpu.
all='
x86_64                 x86_64       pt_x86_64              -                  max,la57=off
x86_64-la57            x86_64       pt_x86_64_la57         LA57               max
x86_64-npt             x86_64       pt_npt_4level          GUEST              max,la57=off,phys-bits=52
x86_64-npt-la57        x86_64       pt_npt_5level          GUEST;LA57         max,phys-bits=52
x86_32                 x86_32       pt_x86_32              -                  max,la57=off
x86_32-pse36           x86_32       pt_x86_32              PSE36              max,la57=off
x86_32-pae             x86_32       pt_x86_pae             PAE                max,la57=off
aarch64                aarch64      pt_aarch64             -                  max
aarch64-contiguous     aarch64      pt_aarch64             CONTIGUOUS         max
aarch64-16k            aarch64      pt_aarch64_16k         -                  max
aarch64-64k            aarch64      pt_aarch64_64k         -                  max
aarch64-lpa2           aarch64      pt_aarch64_4k_52       -                  max
aarch64-16k-52         aarch64      pt_aarch64_16k_52      -                  max
aarch64-64k-52         aarch64      pt_aarch64_64k_52      -                  max
aarch64-el2            aarch64      pt_aarch64_el2         EL2                max
aarch64-stage2         aarch64      pt_aarch64_stage2      GUEST              max
aarch64-stage2-xnx     aarch64      pt_aarch64_stage2      GUEST;XNX          max
aarch64-stage2-16k     aarch64      pt_aarch64_stage2_16k  GUEST              max
aarch64-stage2-64k     aarch64      pt_aarch64_stage2_64k  GUEST              max
aarch64-stage2-52      aarch64      pt_aarch64_stage2      GUEST;WIDE         max
aarch64-stage2-16k-52  aarch64      pt_aarch64_stage2_16k  GUEST;WIDE         max
aarch64-stage2-64k-52  aarch64      pt_aarch64_stage2_64k  GUEST;WIDE         max
aarch64-stage2-5level  aarch64      pt_aarch64_stage2      GUEST;WIDE;5LEVEL  max
armv7                  armv7        pt_armv7_short         -                  cortex-a15
armv7-lpae             armv7        pt_armv7_lpae          -                  cortex-a15
armv7-lpae-contiguous  armv7        pt_armv7_lpae          CONTIGUOUS         cortex-a15
riscv32-sv32           riscv32      pt_sv32                -                  rv32
riscv32-sv32x4         riscv32      pt_sv32x4              GUEST              rv32,h=true
riscv64-sv39           riscv64      pt_sv39                -                  rv64,sv57=off,sv48=off
riscv64-svnapot        riscv64      pt_sv39                SVNAPOT            rv64,sv57=off,sv48=off,svnapot=on,svpbmt=on
riscv64-sv48           riscv64      pt_sv48                -                  rv64,sv57=off
riscv64-sv57           riscv64      pt_sv57                -                  rv64
riscv64-sv39x4         riscv64      pt_sv39x4              GUEST              rv64,sv57=off,sv48=off
riscv64-sv48x4         riscv64      pt_sv48x4              GUEST              rv64,sv57=off
riscv64-sv57x4         riscv64      pt_sv57x4              GUEST              rv64
loongarch64            loongarch64  pt_loongarch64         -                  la464
loongarch64-3level     loongarch64  pt_loongarch64_3level  3LEVEL             la464
loongarch64-16k        loongarch64  pt_loongarch64_16k     16K                la464
loongarch64-64k        loongarch64  pt_loongarch64_64k     64K                la464
'

# Formats without a kernel, and why.
without='
pt_ept_4level pt_ept_5level: QEMU emulates no VMX
'

usage()
{
    echo "usage: $0 [KERNEL|FORMAT...], of:$(awk 'NF { printf " %s", $1 }' <<< "$all")"
}

# chosen NAME...: the kernels of these names and formats; all without any
chosen()
{
    local name found

    [ $# -ne 0 ] || awk 'NF { print $1 }' <<< "$all"
    for name in "$@"; do
        found=$(awk -v name="$name" 'NF && ($1 == name || $3 == name) { print $1 }' <<< "$all")
        if [ -z "$found" ]; then
            why_not "$name" >&2 || usage >&2
            return 1
        fi
        echo "$found"
    done
}

# why_not FORMAT: a line that says why it has no kernel; fails where none does
why_not()
{
    local reason

    reason=$(sed -n "/^[^:]*\<$1\>/s/^[^:]*: //p" <<< "$without")
    [ -n "$reason" ] && printf '%-18s  no kernel: %s\n' "$1" "$reason"
}

# What is special about a kernel: qemu program, its flags, the status that means "passed".
describe()
{
    local cpu address

    read -r _ arch format variant cpu < <(awk -v name="$1" '$1 == name' <<< "$all")
    options=(-DARCH="$arch" -DNAME="$1" -DFORMAT="$format")
    [ "$variant" = - ] || options+=(-DVARIANT="$variant")
    qemu=qemu-system-$arch passed=0 memory=256M
    case $arch in
    x86_*)
        qemu=qemu-system-x86_64 passed=33
        machine=(-machine q35 -device 'isa-debug-exit,iobase=0xf4,iosize=4')
        ;;
    armv7 | aarch64)
        qemu=${qemu/armv7/arm}
        machine=(-M virt -semihosting-config 'enable=on,target=native')
        case $variant in EL2 | GUEST*) machine[1]+=,virtualization=on ;; esac
        ;;
    riscv*) machine=(-M virt -bios none) ;;
    loongarch64) machine=(-M virt -device pvpanic-pci -action panic=exit-failure) ;;
    esac
    # RAM above 4 GiB, which pointers of 32 bits do not reach; for PSE-36, in modules (x86_32/pse36.c).
    case $format in pt_sv32 | pt_sv32x4 | pt_x86_pae) memory=5G ;; esac
    if [ "$variant" = PSE36 ]; then
        memory=256M,slots=2,maxmem=720G
        for address in 0x5555400000 0xaaaa800000; do
            machine+=(-object "memory-backend-ram,id=m$address,size=4M"
                -device "pc-dimm,memdev=m$address,addr=$address")
        done
    fi
    machine+=(-cpu "$cpu")
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
    cmake -S "$here" -B "$build/$1" "${options[@]}" && cmake --build "$build/$1" --parallel "$(nproc)"
}

# Bounded in time, size of output, and without a core file; a livelocked QEMU does not hear SIGTERM.
run_kernel()
{
    (
        ulimit -c 0
        ulimit -f "$kilobytes"
        exec timeout -k 1 "$seconds" "$qemu" -accel tcg -display none -nodefaults -serial stdio -no-reboot \
            -m "$memory" "${machine[@]}" -kernel "$build/$1/kernel.elf" < /dev/null > "$build/$1/output" 2>&1
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

columns=(detect linear page region holes flush reshape records asid random explain destroy)
row='%-22s %-28s'"$(printf ' %%%ds' 6 6 4 6 5 5 7 7 4 6 7 7)"' %7s  %s\n'

# What a kernel's lines in brackets say of each check: "[page]" where it begins, "[page: pass]" where it ends.
each_check()
{
    local check

    for check in "${columns[@]}"; do
        tr -d '\r' < "$1" | awk -v check="$check" '
            $0 == "[" check "]" { result = "FAIL" }
            $1 == "[" check ":" { result = substr($2, 1, length($2) - 1) }
            END { print result == "" ? "." : result }'
    done
}

names=$(chosen "$@") || exit 2
mapfile -t kernels <<< "$names"

table=() failed=0 skipped=0
for name in "${kernels[@]}"; do
    describe "$name"
    echo "==== $name"
    took=- checks=("${columns[@]/*/.}")
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
        mapfile -t checks < <(each_check "$build/$name/output")
    fi
    case $result in FAIL*) failed=1 ;; esac
    # shellcheck disable=SC2059 # the widths are computed
    table+=("$(printf "$row" "$format" "$name" "${checks[@]}" "$took" "$result")")
done

echo
# shellcheck disable=SC2059
printf "$row" format kernel "${columns[@]}" seconds result
printf '%s\n' "${table[@]}"
if [ $# -eq 0 ]; then
    echo
    for format in $(sed -n 's/^extern const struct pt_format \(.*\);/\1/p' "$here/../../include/pagetable/format.h" |
        tr -d , | sed 's/PT_ONLY_FORMAT//'); do
        if ! awk -v format="$format" '$3 == format { found = 1 } END { exit !found }' <<< "$all" && ! why_not "$format"; then
            echo "$format: neither a kernel, nor a reason why there is none" # stands in one of the lists above
            failed=1
        fi
    done
fi
if [ $failed -ne 0 ]; then
    exit 1
elif [ $skipped -ne 0 ]; then
    exit 77
fi
