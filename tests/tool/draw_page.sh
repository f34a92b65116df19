#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The page that `draw` makes, in a browser: tests/tool/draw_page.sh PAGETABLE
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../../scripts/lib.sh"
python=$(find_selenium) ||
    { echo "skipped: chromium, chromedriver or selenium of python3 is missing (scripts/setup test)"; exit 77; }

cat >"$work/text" <<'END'
format x86_64
tables 0x100000
map 0x400000 0x200000 0x30000 r-xu-
map 0x600000 0x300000 0x3000 rw-u- page=4K
map 0x700000 0x700000 0x1000 rwxu-
map 0x800000 0x800000 4M r--u-
map 0x40000000 0x40000000 1G rw-u-n page=1G
map 0xffff800000000000 0 4G rw--g
map 0xffffff8000000000 0xfee00000 0x1000 rw--gd
END
expect 0 "$tool" build "$work/text" -o "$work/image"
expect 0 "$tool" draw -f x86_64 -r 0x100000 --marker=0x400000='</script><img src=x onerror="bad=1">' \
    --marker=0x600000='<b>data</b>' --marker=0xffff800000000000='linear map' "$work/image@0x100000"
cp "$work/out" "$work/page.html"

{
    printf '%s\n' 'format sv48' 'tables 0x100000000'
    awk 'BEGIN { for (i = 0; i < 100000; i++)
        printf "map 0x%x 0x%x 4K %s\n", 268435456 + i * 8192, i * 7919 % 100003 * 4096, i % 2 ? "rw---" : "r-x--" }'
} >"$work/text"
expect 0 "$tool" build "$work/text" -o "$work/image"
expect 0 "$tool" draw -f sv48 -r 0x100000000 "$work/image@0x100000000"
cp "$work/out" "$work/large.html"

head -c 4096 /dev/zero >"$work/image"
expect 0 "$tool" draw -f x86_64 -r 0 "$work/image"
cp "$work/out" "$work/empty.html"

timeout 300 "$python" "$(dirname "$0")/draw_page.py" test "$work/page.html" "$work/large.html" "$work/empty.html"
status=$?
[[ $status != 77 ]] || { echo "skipped: the browser does not start here"; exit 77; }
[[ $status == 0 ]] || fail "the page: status $status"
