#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Measure; `make bench` calls it. A table in Markdown, and the same as JSON.
#
#     run.sh [-b DIRECTORY] [-o RESULTS.json] [-c CPU] [-n ROUNDS] [WORKLOAD...]
#
# DIRECTORY is where bench-runtime and bench-fixed are. Without WORKLOAD (W1 ... W12; L1, L7, L8 are the
# limits of W1, W7, W8) those of the environment's $WORKLOADS, without these all.
set -euo pipefail
export LC_ALL=C

top=$(cd "$(dirname "$0")/.." && pwd)
binaries=$top/build/bench/bench
results=
rounds=7
repetitions=3
cpu=
while getopts b:o:c:n: option; do
    case $option in
    b) binaries=$OPTARG ;;
    o) results=$OPTARG ;;
    c) cpu=$OPTARG ;;
    n) rounds=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
read -ra workloads <<<"$* ${WORKLOADS:-}"
[[ $# == 0 ]] || workloads=("$@")
results=${results:-${binaries%/*}/results.json}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
have() { command -v "$1" >/dev/null 2>&1; }

# ---- Instructions: valgrind writes a file for each call of run_measured ------------------------------

# The files' totals, in the order of the workloads. memset must not be `rep stosb`: valgrind counts each byte.
count_instructions() # VARIANT
{
    local out=$work/$1.callgrind name units number=0
    GLIBC_TUNABLES=glibc.cpu.x86_rep_stosb_threshold=0x40000000 \
        valgrind -q --tool=callgrind --callgrind-out-file="$out" --toggle-collect=run_measured \
        --dump-after=run_measured "$binaries/bench-$1" -r 0 "${workloads[@]}" >"$work/$1.units"
    while read -r name units; do
        number=$((number + 1))
        awk -v variant="$1" -v name="$name" -v units="$units" \
            '$1 == "totals:" { print variant, name, "instructions", $2 / units }' "$out.$number"
    done <"$work/$1.units"
}

echo "# pagetable, x86_64 4-level"
echo
if ! have valgrind; then
    echo "- no valgrind: no instructions counted"
else
    counting=()
    for variant in runtime fixed; do
        count_instructions $variant >"$work/$variant.instructions" &
        counting+=($!)
    done
    for process in "${counting[@]}"; do
        wait "$process"
    done
fi

# ---- Time: the two programs in turn, each round in new memory, on one CPU ----------------------------

pin=()
if have taskset; then
    # The last one that is allowed: interrupts like the first.
    allowed=$(taskset -cp $$)
    pin=(taskset -c "${cpu:-${allowed##*[ ,-]}}")
fi

for ((round = 0; round < rounds; round++)); do
    for variant in runtime fixed; do
        "${pin[@]}" "$binaries/bench-$variant" -r $repetitions "${workloads[@]}" |
            awk -v variant=$variant '{ print variant, $1, "ns", $3 / $2 }'
    done
done >"$work/times"

# ---- The report --------------------------------------------------------------------------------------

about() { "$binaries/bench-runtime" -i | sed -n "s/^$1 //p"; }

model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
date=$(date +%Y-%m-%d)
compiler=$(about compiler)
memory=$(about memory)
echo "- CPU: $model, ${pin[*]:-not pinned}"
echo "- compiler: $compiler"
echo "- memory: $memory; physical addresses are pointers, no TLB instructions"
echo "- date: $date"
echo "- ns: median (quartiles) of $((rounds * repetitions)), the two programs in turn; instr: callgrind, memset not as rep stos"
echo "- per page; W2 per leaf entry, W5 and W6 per query, W10 per table frame"
echo

# Times sorted, so that quantiles can be picked.
cat "$work"/*.instructions "$work/times" 2>/dev/null | sort -k1,1 -k2,2 -k3,3 -k4,4g |
    awk -v json="$results" -v model="$model" -v compiler="$compiler" -v memory="$memory" -v date="$date" '
    function quantile(key, q) { return sample[key, int((count[key] - 1) * q + 0.5)] }
    function number(value) { return value == "" ? "-" : sprintf(value < 9.995 ? "%.2f" : "%.1f", value) }
    function time(key) {
        if (!(key in count))
            return "-"
        return number(quantile(key, 0.5)) " (" number(quantile(key, 0.25)) "-" number(quantile(key, 0.75)) ")"
    }
    function member(variant, name,    key) {
        key = variant " " name
        return sprintf("\"%s\": {\"ns\": %.4f, \"ns_quartiles\": [%.4f, %.4f], \"instructions\": %s}", variant,
            quantile(key, 0.5), quantile(key, 0.25), quantile(key, 0.75),
            key in instructions ? sprintf("%.4f", instructions[key]) : "null")
    }
    BEGIN {
        split("W1 W2 W3 W4 W5 W6 W7 W8 W9 W10 W11 W12 L1 L7 L8", names)
        title["W1"] = "map_region, 1 GiB of 4K pages"
        title["W2"] = "map_region, 64 GiB, huge pages, ragged ends"
        title["W3"] = "map, random pages of 64 GiB"
        title["W4"] = "map, pages in sequence"
        title["W5"] = "query, random pages of W1"
        title["W6"] = "query, random pages of W3"
        title["W7"] = "unmap_region of W1"
        title["W8"] = "protect_region of W1"
        title["W9"] = "unmap, random order, pages of W3"
        title["W10"] = "destroy the table of W3"
        title["W11"] = "map_region, 512 times 16 pages"
        title["W12"] = "protect_region of W1, all pages written to"
        title["L1"] = "limit of W1: zero and fill the leaf tables"
        title["L7"] = "limit of W7: clear the leaf tables"
        title["L8"] = "limit of W8: read, modify, write the leaf tables"
        limit["W1"] = "L1"; limit["W7"] = "L7"; limit["W8"] = "L8"
        split("3.75/122 11.1/122 63.0/156 4.00/125 3.02/48 21.4/48 3.01/80 1.97/61 29.4/78 18.5/32 4.15/125", published)
    }
    $3 == "ns" { key = $1 " " $2; sample[key, count[key] + 0] = $4; count[key]++ }
    $3 == "instructions" { instructions[$1 " " $2] = $4 }
    END {
        print "| | workload | run-time ns | run-time instr | fixed ns | fixed instr | limit ns/instr | reference, published ns/instr |"
        print "|---|---|---|---|---|---|---|---|"
        printf "{\n  \"date\": \"%s\",\n  \"cpu\": \"%s\",\n  \"compiler\": \"%s\",\n  \"memory\": \"%s\",\n  \"workloads\": {", date, model, compiler, memory >json
        for (i = 1; i in names; i++) {
            name = names[i]; runtime = "runtime " name; fixed = "fixed " name; bound = "fixed " limit[name]
            if (!(runtime in count))
                continue
            printf "%s\n    \"%s\": {\"title\": \"%s\", %s, %s}", separator, name, title[name], member("runtime", name), member("fixed", name) >json
            separator = ","
            if (name ~ /^W/)
                printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", name, title[name], time(runtime), number(instructions[runtime]), time(fixed), number(instructions[fixed]), bound in count ? number(quantile(bound, 0.5)) "/" number(instructions[bound]) : "", published[i]
            else
                limits = limits sprintf("| %s | %s | %s | %s | %s | %s | | |\n", name, title[name], time(runtime), number(instructions[runtime]), time(fixed), number(instructions[fixed]))
        }
        printf "%s", limits
        printf "\n  }\n}\n" >json
    }'
echo
echo "JSON: $results"
