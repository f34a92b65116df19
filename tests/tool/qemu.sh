# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A QEMU that runs while the command looks into it; to be sourced after lib.sh. One at a time.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
machine=

skip() { echo "skipped: $*"; exit 77; }

end_qemu()
{
    [[ -z $machine ]] || { kill "$machine"; wait "$machine"; } 2>/dev/null
    machine=
}
trap 'end_qemu; rm -rf "$work"' EXIT

# start_qemu ARGUMENTS...: its gdb stub is at $work/gdb, its QMP socket at $work/qmp, its serial line in $work/serial
start_qemu()
{
    end_qemu
    rm -f "$work"/{gdb,qmp,serial,monitor,commands}
    mkfifo "$work/commands"
    timeout -k 1 240 "$@" -accel tcg -display none -nodefaults -serial "file:$work/serial" -no-reboot -monitor stdio \
        -gdb "unix:$work/gdb,server=on,wait=off" -qmp "unix:$work/qmp,server=on,wait=off" \
        <"$work/commands" >>"$work/monitor" 2>&1 &
    machine=$!
    exec 7>"$work/commands"
    questions=0
}

# await_line TEXT: on the serial line
await_line()
{
    local i
    for ((i = 0; i < 1200; i++)); do
        ! grep -qs "$1" "$work/serial" || return 0
        kill -0 "$machine" 2>/dev/null && ! grep -qs "^FAIL" "$work/serial" || break
        sleep 0.1
    done
    cat "$work/serial" "$work/monitor"
    fail "the guest did not come so far: $1"
}

# ask FILE COMMANDS: the monitor executes these lines; what it says goes to FILE
ask()
{
    local i sentinel
    questions=$((questions + 1))
    sentinel=$(printf "0x%x" $((271828000 + questions)))
    : >"$work/monitor"
    printf '%s\nprint %s\n' "$2" $sentinel >&7
    for ((i = 0; i < 200; i++)); do
        tr -d '\r\0' <"$work/monitor" >"$1"
        ! grep -aqx "$sentinel" "$1" || return 0
        sleep 0.1
    done
    tail -n 3 "$1"
    fail "QEMU's monitor does not answer"
}

# is_status STATUS: by QEMU's own word
is_status()
{
    ask "$work/status" "info status"
    grep -aqx "VM status: $1" "$work/status" || fail "not $1: $(grep -a status: "$work/status")"
}
