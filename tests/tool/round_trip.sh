#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random descriptions in every format: what dump reads out of the image that build made is, built again, the same image
# again, and has the same ranges: tests/tool/round_trip.sh PAGETABLE [SEED]
. "$(dirname "$0")/lib.sh"
RANDOM=${2:-1}

# A random description of a format: name, address bits that are safe for all, log2 of the smallest page
describe()
{
    local name=$1 page=$2 i vaddr paddr pages rights=(r---- rw--- r-x-- rw-u- r-xu- rw--g rw---d rw---n rwxug rwxu-)
    echo "format $name"
    echo "tables 0x80200000"
    for ((i = 0; i < 8; i++)); do
        vaddr=$(((i << 27) + ((RANDOM % 512) << page)))
        paddr=$(((RANDOM % 256 << 21) + (RANDOM % 2 ? vaddr & 0x1fffff : (RANDOM % 32) << page)))
        pages=$((1 + RANDOM % (RANDOM % 4 ? 20 : 600)))
        printf 'map 0x%x 0x%x 0x%x %s\n' $vaddr $paddr $((pages << page)) "${rights[RANDOM % ${#rights[@]}]}"
    done
}

# What RIGHTS come back as, in format NAME with OPTION: what an entry cannot say is lost, as the manuals have it
expected() # NAME OPTION RIGHTS
{
    local rights=$3 r w x u g type
    r=${rights:0:1} w=${rights:1:1} x=${rights:2:1} u=${rights:3:1} g=${rights:4:1} type=${rights:5}
    case $1 in
    x86_32*) x=x ;; # no XD bit
    esac
    case $1 in
    *npt* | *ept* | sv*x4 | *stage2* | *el2*) u=u g=- ;; # one privilege level, or the guest's own tables tell
    esac
    case $2:$1 in
    svpbmt:sv*) ;;
    *:sv*) type= ;; # physical memory attributes tell
    esac
    echo "$r$w$x$u$g$type"
}

formats=$("$tool" formats | awk '{ print $1 }')
[[ $(wc -w <<<"$formats") -ge 32 ]] || fail "formats are missing"
for name in $formats; do
    case $name in *16k*) page=14 ;; *64k*) page=16 ;; *) page=12 ;; esac
    for option in '' svnapot svpbmt contiguous; do
        case $option:$name in
        :* | sv*:sv39* | sv*:sv48* | sv*:sv57* | contiguous:aarch64*) ;;
        *) continue ;;
        esac
        case $option:$name in contiguous:*el2) continue ;; esac
        describe "$name" $page >"$work/one"
        [[ -z $option ]] || sed -i "1a option $option" "$work/one"
        expect 0 "$tool" build "$work/one" -o "$work/image1"
        at=(-f "$name" -r 0x80200000 ${option:+--$option})
        expect 0 "$tool" dump -o description "${at[@]}" "$work/image1@0x80200000"
        cp "$work/out" "$work/two"
        [[ $(grep -c '^map' "$work/two") -ge 8 ]] || fail "$name $option: too few ranges"
        # What was asked for is there: as many bytes, and each region's first page with its rights.
        bytes() { local sum=0 size; for size in $(awk '/^map/ { print $4 }' "$1"); do sum=$((sum + size)); done; echo $sum; }
        [[ $(bytes "$work/one") == $(bytes "$work/two") ]] || fail "$name $option: other sizes"
        while read -r _ vaddr paddr _ rights; do
            grep -qE "^map $vaddr $paddr [^ ]+ $(expected "$name" "$option" "$rights")( |\$)" "$work/two" ||
                fail "$name $option: $vaddr is not at $paddr, or not $rights: $(grep "^map $vaddr " "$work/two")"
        done < <(grep '^map' "$work/one")
        expect 0 "$tool" build "$work/two" -o "$work/image2"
        expect 0 "$tool" diff "${at[@]}" "$work/image1@0x80200000" "$work/image2@0x80200000"
        expect 0 "$tool" dump -o description "${at[@]}" "$work/image2@0x80200000"
        cmp "$work/two" "$work/out" || fail "$name $option: the description changed"
        expect 0 "$tool" dump -o json "${at[@]}" "$work/image1@0x80200000"
        cp "$work/out" "$work/three"
        expect 0 "$tool" build "$work/three" -o "$work/image3"
        cmp "$work/image2" "$work/image3" || fail "$name $option: JSON leads elsewhere"
    done
done
