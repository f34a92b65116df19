#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `draw` writes, without a browser: tests/tool/draw.sh PAGETABLE
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "skipped: python3 is missing, which reads the pictures"; exit 77; }

cat >"$work/is_picture.py" <<'END'
import re
import sys
import xml.etree.ElementTree as tree

root = tree.parse(sys.argv[1]).getroot()
blocks = [e for e in root.iter() if (e.get("class") or "").startswith("block ")]
tags = {e.tag.split("}")[1] for e in root.iter()}
assert root.tag == "{http://www.w3.org/2000/svg}svg", root.tag
assert not tags - {"svg", "style", "defs", "pattern", "path", "circle", "rect", "g", "text", "tspan", "title"}, tags
assert not [k for e in root.iter() for k in e.attrib if k.startswith("on") or "href" in k], "attributes"
assert not re.search(r"url\((?!#)|@import|\b(nan|inf)\b", open(sys.argv[1], encoding="utf-8").read()), "elsewhere"
low, _, high = sys.argv[2].partition("-")
assert int(low) <= len(blocks) <= int(high or low), len(blocks)
# They stand in order, none in another.
faces = [b.find("{*}rect") for b in blocks]
edges = [(float(face.get("y")), float(face.get("height"))) for face in faces]
assert all(a + h <= b for (a, h), (b, _) in zip(edges, edges[1:])), "blocks overlap"
END

# is_picture BLOCKS: the output is an XML document with so many blocks, nothing that runs, and nothing from elsewhere
is_picture() { python3 "$work/is_picture.py" "$work/out" "$1" || fail "no such picture: $*"; }

# holes COUNT
holes() { [[ $(grep -c '<g class="hole">' "$work/out") == "$1" ]] || fail "not $1 holes"; }

# draw DESCRIPTION OPTION...: what `build` makes of it, with its format and options
draw()
{
    local description=$1 tables
    shift
    tables=$(awk '$1 == "tables" { print $2 }' "$description")
    expect 0 "$tool" build "$description" -o "$work/image"
    # shellcheck disable=SC2046
    expect 0 "$tool" draw -f $(awk '$1 == "format" { print $2 }' "$description") -r "$tables" \
        $(awk '$1 == "option" { print "--" $2 } $1 == "upper" { print "--upper" }' "$description") "$@" "$work/image@$tables"
}

cat >"$work/text" <<'END'
format x86_64
tables 0x100000
map 0x400000 0x200000 0x3000 r-xu-
map 0x600000 0x300000 0x3000 rw-u- page=4K
map 0xffff800000000000 0 4G rw--g
map 0xffffff8000000000 0xfee00000 0x1000 rw--gd
END
draw "$work/text" -o svg
is_picture 4
says 'data-first="0xffff800000000000" data-last="0xffff8000ffffffff"'
says '4 × 1G'
says 'not canonical'
holes 5

# A marker cuts a range; a name is text, and of what XML cannot hold nothing comes through.
draw "$work/text" -o svg --marker=0x601000='</text><script>x("&")</script>' \
    --marker=0x400000=$'bell\a \xef\xbf\xbf' --marker=0x500000=nowhere
is_picture 5
says 'data-first="0x601000" data-last="0x602fff"'
says '&#60;script&#62;'
! grep -q '<script' "$work/out" || fail "a name is not text"

# The page: the dump is the one of `dump`, and no name ends the element that it is in.
draw "$work/text" --marker=0x601000='</script><script>x()</script><!--' --marker='0x400000={{dump}}'
cp "$work/out" "$work/page"
[[ $(grep -o '<script' "$work/page" | wc -l) == 3 && $(grep -o '</script' "$work/page" | wc -l) == 3 ]] ||
    fail "not three scripts in the page"
! grep -qE '(src|href)="?(https?:)?//' "$work/page" || fail "the page needs something else"
expect 0 "$tool" dump -o json --tree -f x86_64 -r 0x100000 "$work/image@0x100000"
cat >"$work/is_page.py" <<'END'
import json
import re
import sys

page = open(sys.argv[1], encoding="utf-8").read()
dump, about = (json.loads(re.search(f'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)[1])
               for name in ("dump", "about"))
assert dump == json.load(open(sys.argv[2])), "dump"
assert {"vaddr": "0x601000", "name": "</script><script>x()</script><!--"} in about["markers"], about
assert about["spans"] == ["0x8000000000", "0x40000000", "0x200000", "0x1000"], about
tables = [e for e in dump["entries"] if not e["leaf"]]
assert tables and all(e["paddr"] and e["flags"] for e in tables), tables
END
python3 "$work/is_page.py" "$work/page" "$work/out" || fail "the page has other data"

# Edges of the address space: all of it, the last page, nothing, the upper half alone; each format.
printf '%s\n' 'format sv39' 'tables 0x80000000' 'map 0 0 256G rw---' 'map 0xffffffc000000000 0 256G r----' >"$work/text"
draw "$work/text" -o svg
is_picture 2
holes 0
says 'not canonical'
printf '%s\n' 'format x86_64' 'tables 0x100000' 'map 0xfffffffffffff000 0 4K r----' >"$work/text"
draw "$work/text" -o svg
is_picture 1
holes 2
head -c 4096 /dev/zero >"$work/image"
expect 0 "$tool" draw -o svg -f x86_64 -r 0 "$work/image"
is_picture 0
says 'nothing is mapped'
printf '%s\n' 'format aarch64' 'tables 0x40000000' upper 'map 0xffff000000000000 0 1G rw---' \
    'map 0xfffffffffffff000 0 4K r----' >"$work/text"
draw "$work/text" -o svg
is_picture 2
holes 1
for name in $("$tool" formats | awk '{ print $1 }'); do
    printf '%s\n' "format $name" 'tables 0x40000000' 'map 0x20000000 0x20000000 0x20000000 rw---' >"$work/text"
    draw "$work/text" -o svg
    is_picture 1
    holes $((2 + $(grep -c 'class="middle"' "$work/out")))
done

# A hundred thousand pages, each by itself: few blocks, and quickly.
{
    printf '%s\n' 'format sv48' 'tables 0x100000000'
    awk 'BEGIN { for (i = 0; i < 100000; i++)
        printf "map 0x%x 0x%x 4K %s\n", 268435456 + i * 8192, i * 7919 % 100003 * 4096, i % 2 ? "rw---" : "r-x--" }'
} >"$work/text"
SECONDS=0
draw "$work/text" -o svg --marker=0x20000000=half
is_picture 100-301
says '>half<'
[[ $(wc -c <"$work/out") -lt 1000000 && $SECONDS -lt 60 ]] || fail "large: $(wc -c <"$work/out") bytes, $SECONDS s"

# Trouble
head -c 4096 /dev/zero >"$work/image"
at=(-f x86_64 -r 0 "$work/image")
expect 2 "$tool" draw
expect 2 "$tool" draw -o csv "${at[@]}"
says 'there is html svg'
expect 2 "$tool" dump -o svg "${at[@]}"
expect 2 "$tool" draw --marker=1 "${at[@]}"
expect 2 "$tool" draw --marker=here=there "${at[@]}"
expect 2 "$tool" draw --marker=1=$'\xff' "${at[@]}"
for ((i = 0; i < 512; i++)); do printf '\x07\x00\x10\0\0\0\0\0'; done >"$work/loop"
for form in html svg; do
    expect 2 "$tool" draw -o $form --limit=100000 -f x86_64 -r 0x100000 "$work/loop@0x100000"
    says 'was not all'
done
# So many ranges that they are merged while they come are as fine in the end.
expect 2 "$tool" draw -o svg --limit=3000000 -f x86_64 -r 0x100000 "$work/loop@0x100000"
is_picture 100-300
for seed in 1 2 3; do
    awk -v seed=$seed 'BEGIN { srand(seed); for (i = 0; i < 16384; i++) printf "%c", 1 + int(rand() * 127) }' >"$work/noise"
    for name in x86_64 sv39 aarch64 armv7_short; do
        "$tool" draw -o svg --limit=100000 -f $name -r 0 "$work/noise" >"$work/out" 2>"$work/err"
        [[ $? == [02] ]] || fail "noise $seed as $name"
    done
done
printf '%s\n' 'format x86_64' 'tables 0x100000' 'map 0 0 4K r----' >"$work/text"
odd=$work/'<b>&"'$'\xff\n'
expect 0 "$tool" build "$work/text" -o "$odd"
expect 0 "$tool" draw -o svg -f x86_64 -r 0x100000 "$odd@0x100000"
is_picture 1
