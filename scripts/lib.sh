# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034
# What the scripts share; to be sourced. Bash 4 or later.

# The formats that the library can be built for alone.
FORMATS=(pt_x86_64 pt_aarch64 pt_sv39 pt_sv48 pt_loongarch64)

# A make that calls these scripts has nothing to say to those that they call.
unset MAKEFLAGS MFLAGS MAKELEVEL

# The first QEMU whose LoongArch and RISC-V MMUs this project has been tried on, and the first clang that
# compiles and links for all architectures.
QEMU_MIN=10.0.2
QEMU_MACHINES=(x86_64 aarch64 riscv64 loongarch64)
CLANG_MIN=17
CLANG_TRIED=19
CMAKE_MIN=3.21

note() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: versions like 10.0.2
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# only_one DIR: wait for another run of the same script that works in DIR
only_one()
{
    mkdir -p "$1"
    exec 9>"$1/lock"
    ! have flock || flock 9
}

# clang_version COMMAND: its major version, nothing where there is none
clang_version() { "$1" -dM -E -x c /dev/null 2>/dev/null | sed -n 's/^#define __clang_major__ //p'; }

# The clang to use, as a command: the one that the project is tried with most if it is there, else the
# newest that is new enough; fails where there is none. $CLANG overrules.
find_clang()
{
    local name version
    if [[ -n ${CLANG:-} ]]; then
        echo "$CLANG"
        return
    fi
    for name in "clang-$CLANG_TRIED" $(compgen -c clang- | grep -xE 'clang-[0-9]+' | sort -t - -k 2 -nru) clang; do
        version=$(clang_version "$name")
        if [[ -n $version && $version -ge $CLANG_MIN ]]; then
            echo "$name"
            return
        fi
    done
    return 1
}

# find_llvm TOOL: the LLVM tool (ld.lld, clang-tidy, ...) of the version of find_clang, or the one without a version
find_llvm()
{
    local clang version
    clang=$(find_clang) || return 1
    version=$(clang_version "$clang")
    if have "$1-$version"; then
        echo "$1-$version"
    elif have "$1" && "$1" --version 2>/dev/null | grep -qE "(version|LLD) $version\."; then
        echo "$1"
    else
        return 1
    fi
}

# find_selenium: a python3 that can drive a browser, where there is the browser, too; Debian's is not always the first
find_selenium()
{
    local python
    have chromium && have chromedriver || return 1
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import selenium' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

# qemu_version ARCH: of qemu-system-ARCH, nothing where there is none
qemu_version()
{
    have "qemu-system-$1" || return 0
    "qemu-system-$1" --version 2>/dev/null | sed -n '1s/^QEMU emulator version \([0-9.]*\).*/\1/p'
}

# qemu_ready ARCH: is there one that is new enough?
qemu_ready()
{
    local version
    version=$(qemu_version "$1")
    [[ -n $version ]] && at_least "$version" "$QEMU_MIN"
}

# links COMPILER [FLAGS...]: can it make a program that does nothing?
links() { echo 'int main(void) { return 0; }' | "$1" -x c - -o /dev/null "${@:2}" 2>/dev/null; }

# Can this CPU run 32-bit x86 programs?
is_amd64() { [[ $(uname -m) == x86_64 ]]; }
