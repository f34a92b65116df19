# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# bash completion of `pagetable`

_pagetable()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $COMP_CWORD == 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "dump explain audit diff draw build formats help" -- "$word")
        return
    fi
    [[ $before != = ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
    case $before in
    -f | --format | --format-b)
        mapfile -t COMPREPLY < <(compgen -W "$(pagetable formats | awk '{ print $1 }')" -- "${word#=}")
        return
        ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(pagetable "${COMP_WORDS[1]}" --help | grep -oE -- '--[a-z0-9-]+')" -- "$word")
    else # after "gdb:" the word is ":" or what follows it
        mapfile -t COMPREPLY < <(compgen -f -- "${word#:}"; [[ -z $word ]] || compgen -W "gdb: qmp:" -- "$word")
        [[ ${COMPREPLY[0]:-} != *: ]] || compopt -o nospace
    fi
}
complete -F _pagetable pagetable
