# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of the command share; to be sourced with its path as $1. Skips end with 77.
set -u
tool=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# expect STATUS COMMAND...: its output is in $work/out and $work/err
expect()
{
    local wanted=$1 status
    shift
    "$@" >"$work/out" 2>"$work/err"
    status=$?
    [[ $status == "$wanted" ]] || { cat "$work/out" "$work/err" >&2; fail "status $status, not $wanted: $*"; }
}

# says TEXT: the output has a line with it
says() { grep -qF -- "$1" "$work/out" "$work/err" || { cat "$work/out" "$work/err" >&2; fail "not said: $1"; }; }
