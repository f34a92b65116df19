#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Servers that hang up, lie, send garbage or nothing: a plain complaint and status 2, and no crash. One that does not lie
# is read, and left as it was: tests/tool/servers.sh PAGETABLE
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }
server=$(dirname "$0")/server.py

cat >"$work/text" <<'END'
format x86_64
tables 0x100000
map 0x400000 0x200000 0x3000 r-xu-
map 0xffff800000000000 0 4G rw--g
map 0x600000 0x300000 0x3000 rw-u- page=4K
END
expect 0 "$tool" build "$work/text" -o "$work/image"
expect 0 "$tool" dump -f x86_64 -r 0x100000 "$work/image@0x100000"
cp "$work/out" "$work/right"

# against KIND LIE OPTION...: the command's status is in $status, its output in $work/KIND.LIE.*
against()
{
    local socket=$work/$1.$2 i
    rm -f "$socket"
    python3 "$server" "$1" "$2" "$socket" "$work/image" 0x100000 >"$socket.asked" 2>"$socket.trouble" &
    for ((i = 0; i < 100; i++)); do [[ ! -S $socket ]] || break; sleep 0.1; done
    timeout 60 "$tool" dump "${@:3}" "$1:$socket" >"$socket.out" 2>"$socket.err"
    status=$?
    wait
}

is_refused() # KIND LIE
{
    against "$1" "$2"
    [[ $status == 2 ]] || { cat "$work/$1.$2".{out,err}; fail "$1, $2: status $status, not 2"; }
    grep -q '^pagetable: ' "$work/$1.$2.err" || fail "$1, $2: nothing is said"
    ! grep -qE 'Sanitizer|runtime error' "$work/$1.$2.err" || { cat "$work/$1.$2.err"; fail "$1, $2"; }
}

for kind in gdb qmp; do
    against $kind none
    [[ $status == 0 ]] || { cat "$work/$kind.none".*; fail "$kind: status $status"; }
    cmp "$work/right" "$work/$kind.none.out" || fail "$kind: the dump is another"
done
# The mode as it was; then it goes on.
[[ $(tail -n 2 "$work/gdb.none.asked" | tr '\n' ' ') == 'Qqemu.PhyMemMode:0 D ' ]] || fail "gdb: not left as it was"
tail -n 1 "$work/qmp.none.asked" | grep -q '"cont"' || fail "qmp: not left as it was"
against gdb none --stay-stopped
[[ $status == 0 && $(tail -n 1 "$work/gdb.none.asked") == Qqemu.PhyMemMode:0 ]] || fail "gdb: did not stay stopped"
# Without registers, where it is told what there is.
against gdb no-xml -f x86_64 -r 0x100000
[[ $status == 0 ]] || fail "gdb, no-xml: status $status"
against gdb tiny-packets
[[ $status == 0 ]] || fail "gdb, tiny-packets: status $status"

lies=0
running=()
for lie in gdb:{hang-up,silent,garbage,endless,drip,no-mode,bad-monitor,bad-xml,include-itself,include-many,nameless} \
    gdb:{entities,wide,no-xml,endless-xml,empty-xml,bad-register,no-register,hang-up-later,short,wrong-sum,repeats-nothing} \
    qmp:{hang-up,silent,garbage,endless,drip,other-json,deep,list,error,hang-up-later,elsewhere,short,number,null}; do
    is_refused "${lie%%:*}" "${lie#*:}" & # those that keep silent take their time
    running+=($!)
    lies=$((lies + 1))
done
for one in "${running[@]}"; do
    wait "$one" || fail "see above"
done
for gone in "gdb:$work/absent" qmp:localhost:1 gdb:nobody.invalid:1 gdb: qmp:; do
    expect 2 "$tool" dump "$gone"
    says 'no connection'
done
echo "$lies lies"
