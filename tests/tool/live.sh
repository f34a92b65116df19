#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A kernel of examples/kernel that stays in its tables, read out of the running QEMU by gdb stub and by QMP, without
# --format and --root: the same addresses, sizes and rights as QEMU and the kernel itself say:
#     tests/tool/live.sh PAGETABLE ARCH FORMAT CPU [QEMU-ARGUMENT...]
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/qemu.sh"
arch=$2 format=$3 cpu=$4
shift 4
compare=(python3 "$root/tests/tool/compare.py")
variant=STAY
[[ $format != pt_x86_pae ]] || variant+=';PAE'
[[ $format != pt_aarch64_el2 ]] || variant+=';EL2'
qemu=${arch/armv7/arm}
qemu=qemu-system-${qemu/x86_32/x86_64}

command -v "$qemu" >/dev/null || skip "$qemu is missing"
command -v python3 >/dev/null || skip "python3 is missing"
build=$root/build/kernel-stay/$arch-$format
mkdir -p "$build"
(
    flock 9
    cmake -S "$root/examples/kernel" -B "$build" -DARCH="$arch" -DNAME="$arch" -DFORMAT="$format" -DVARIANT="$variant" &&
        cmake --build "$build"
) >"$work/log" 2>&1 9>"$build/lock" || { tail -n 5 "$work/log"; skip "no kernel"; }

start_qemu "$qemu" -cpu "$cpu" -kernel "$build/kernel.elf" "$@"
await_line 'pagetable: stays'

# It runs before, and it runs afterwards, also where the output is not wanted to its end.
halves=("$work/gdb.csv")
expect 0 "$tool" dump -o csv "gdb:$work/gdb"
cp "$work/out" "$work/gdb.csv"
is_status running
if [[ $format == pt_aarch64 ]]; then
    expect 0 "$tool" dump --upper -o csv "gdb:$work/gdb"
    cp "$work/out" "$work/upper.csv"
    halves+=("$work/upper.csv")
fi
"$tool" dump --limit=2 "gdb:$work/gdb" >/dev/null 2>&1
is_status running
for moment in 0.001 0.002 0.004 0.008 0.016 0.032; do
    timeout --foreground -s INT $moment "$tool" dump "gdb:$work/gdb" >/dev/full 2>&1
    is_status running
done

case $arch in
armv7 | aarch64)
    expect 2 "$tool" dump "qmp:$work/qmp"
    says 'TTBR and TCR'
    ;;
*)
    expect 0 "$tool" dump -o csv "qmp:$work/qmp"
    cmp "$work/gdb.csv" "$work/out" || fail "QMP has it otherwise"
    ;;
esac
is_status running

# Found stopped, left stopped.
ask "$work/said" stop
expect 0 "$tool" dump -o csv --stay-stopped "gdb:$work/gdb"
cmp "$work/gdb.csv" "$work/out" || fail "stopped, it is otherwise"
is_status paused
"$tool" dump "qmp:$work/qmp" >/dev/null 2>&1
is_status paused

"${compare[@]}" kernel "${halves[@]}" "$work/serial" || fail "not what the kernel mapped"
ask "$work/answers" "$("${compare[@]}" probes "${halves[@]}")"
case $format in
pt_aarch64 | pt_sv*) walker=guarded ;;
*) walker=answers ;;
esac
"${compare[@]}" $walker "${halves[@]}" "$work/answers" || fail "not what QEMU's walker finds"
case $arch in
x86_*)
    ask "$work/tlb" "info tlb"
    "${compare[@]}" tlb "${halves[@]}" "$work/tlb" || fail "not what info tlb says"
    ask "$work/mem" "info mem"
    "${compare[@]}" mem "${halves[@]}" "$work/mem" || fail "not what info mem says"
    ;;
riscv*)
    ask "$work/mem" "info mem"
    "${compare[@]}" riscv "${halves[@]}" "$work/mem" || fail "not what info mem says"
    ;;
esac
