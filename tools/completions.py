"""Completion scripts for bash, zsh and fish, from the command tree.

Commands, options and enums are in the scripts; for everything else they ask `rcl complete`.
"""

from __future__ import annotations

from collections import defaultdict

from rcl_cli.cli.aws.global_options import GLOBAL_OPTIONS
from tools.tree import Command, Option, commands

NOTE = "Written by `make gen` from the command tree of rcl; changes belong there."
Spec = tuple[str, tuple[str, ...], bool]


def _spec(option: Option) -> Spec:
    return option.takes, option.choices, option.files


def _patterns(tree: list[Command]) -> dict[Spec, list[str]]:
    """Shell patterns of `command option` by what may follow; a flag that means the same everywhere stands once."""
    by_flag: dict[str, dict[Spec, list[str]]] = defaultdict(lambda: defaultdict(list))
    for command in tree:
        for option in command.options:
            by_flag[option.flag][_spec(option)].append(command.name)
    found: dict[Spec, list[str]] = defaultdict(list)
    for flag, specs in by_flag.items():
        for spec, names in specs.items():
            patterns = [f'*" {flag}"'] if len(specs) == 1 else [f'"{name} {flag}"' for name in names]
            found[spec] += patterns
    return found


def _option_cases(tree: list[Command]) -> str:
    lines = []
    for (takes, choices, files), patterns in sorted(_patterns(tree).items()):
        if (takes, choices, files) == ("one", (), False):
            continue
        settings = [f"takes={takes}"] if takes != "one" else []
        settings += [f'choices="{" ".join(choices)}"'] if choices else []
        settings += ["files=1"] if files else []
        lines.append(f"        {' | '.join(patterns)}) {'; '.join(settings)} ;;")
    return "\n".join(lines)


def _word_cases(tree: list[Command]) -> str:
    """What a command takes besides options."""
    lines = [f'        help) choices="{" ".join(_first_words(tree))}" ;;']
    for command in tree:
        if command.words and command.files:
            lines.append(f'        "{command.name}") choices="{" ".join(command.words)}"; files=1 ;;')
        elif command.words:
            lines.append(f'        "{command.name}") choices="{" ".join(command.words)}" ;;')
        elif command.files:
            lines.append(f'        "{command.name}") files=1 ;;')
        elif command.asked:
            lines.append(f'        "{command.name}") asked={command.asked} ;;')
    return "\n".join(lines)


def _first_words(tree: list[Command]) -> list[str]:
    return [command.name for command in tree if " " not in command.name]


def _groups(tree: list[Command]) -> str:
    return " ".join(command.name for command in tree if command.is_group)


def _flags(command: Command) -> str:
    return " ".join([*(option.flag for option in command.options), "--help"])


# What bash and zsh know of options and words.
_TABLES = """\
# What follows an option of a command: sets takes (none, one, many words), choices, files.
_rcl_option() {{
    takes=one choices= files=
    case "$1 $2" in
{options}
    esac
}}

# What a command takes besides options: sets choices, files, asked.
_rcl_words() {{
    choices= files= asked=
    case "$1" in
{words}
    esac
}}
"""


def _tables(tree: list[Command]) -> str:
    return _TABLES.format(options=_option_cases(tree), words=_word_cases(tree))


# Both shells walk over the words before the cursor in the same way, with variables of the same names.
_WALK = """\
    groups=GROUPS
    for word in "${typed[@]:1}"; do
        if [[ $word == --*=* ]]; then
            option=
        elif [[ $word == --* ]]; then
            option=$word given=0
            _rcl_option "$command" "$option"
            [[ $takes == none ]] && option=
        elif [[ -n $option ]] && { [[ $takes == many ]] || (( ! given )); }; then
            given=1
            [[ $takes == one ]] && option=
        elif [[ -z $command ]]; then
            [[ $word == rekognition ]] || command=$word
        elif [[ " $groups " == *" $command "* ]]; then
            command="$command $word"
        else
            position=$((position + 1))
        fi
    done
"""


def _walk(tree: list[Command]) -> str:
    return _WALK.replace("GROUPS", f'"{_groups(tree)}"')


_BASH = """\
# bash completion for rcl. {note}
# Use: source this file, or put it into the folder of bash-completion under the name `rcl`.

{tables}
_rcl_flags() {{
    case "$1" in
{flags}
        *) flags="--help --version {early}" ;;
    esac
}}

_rcl() {{
    local line=${{COMP_LINE:0:COMP_POINT}} cur= command= option= given=0 position=0 word
    local groups takes choices files asked flags value quote= cut=0 candidate special IFS=$' \\t\\n'
    local -a typed
    COMPREPLY=()
    read -ra typed <<< "$line"
    if [[ $line == *[![:space:]] ]]; then
        cur=${{typed[${{#typed[@]}}-1]}}
        typed=("${{typed[@]:0:${{#typed[@]}}-1}}")
    fi
{walk}
    value=$cur
    if [[ $cur == --*=* ]]; then
        option=${{cur%%=*}} value=${{cur#*=}}
        _rcl_option "$command" "$option"
    elif [[ $cur == -* ]]; then
        _rcl_flags "$command"
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
        return
    elif [[ -n $option ]]; then
        _rcl_option "$command" "$option"
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "{names} help" -- "$cur"))
        return
    else
        _rcl_words "$command"
        (( position )) && [[ -n $files ]] && choices=
        option=$asked
        if [[ -z $choices$files$option ]]; then
            _rcl_flags "$command"
            COMPREPLY=($(compgen -W "$flags" -- "$cur"))
            return
        fi
    fi
    # Bash replaces only what stands behind the last `=` or `:`, unless there are quotes around.
    case "$value" in \\'* | \\"*) value=${{value:1}} quote=1 ;; esac
    word=${{COMP_WORDS[COMP_CWORD]}}
    [[ $word == [=:] ]] && word=
    [[ -z $quote ]] && cut=$(( ${{#value}} > ${{#word}} ? ${{#value}} - ${{#word}} : 0 ))
    IFS=$'\\n'
    if [[ -n $choices ]]; then
        IFS=$' \\t\\n'
        COMPREPLY=($(compgen -W "$choices" -- "$value"))
        IFS=$'\\n'
    elif [[ -n $files ]]; then
        type compopt &> /dev/null && compopt -o filenames
        COMPREPLY=($(compgen -f -- "$value"))
    else
        word=${{typed[0]/#\\~/$HOME}}
        # Labels and keys are other people's words: nothing in them may mean something to the shell.
        case "$cur" in
            *\\'*) special="/'/d" ;;
            *\\"*) special='s/[\\\\$`"]/\\\\&/g' ;;
            *) special='s/[^[:alnum:]_.,:=+@%/{{}}~-]/\\\\&/g' ;;
        esac
        while IFS= read -r candidate; do
            COMPREPLY+=("$candidate")
        done < <("$word" complete "$command" "$option" "$value" "${{typed[@]}}" 2> /dev/null |
            cut -f1 | sed -e "s/^.\\{{$cut\\}}//" -e "$special")
        cut=0
    fi
    for candidate in "${{!COMPREPLY[@]}}"; do
        COMPREPLY[candidate]=${{COMPREPLY[candidate]:cut}}
    done
    if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *[/={{,] ]]; then
        type compopt &> /dev/null && compopt -o nospace
    fi
}}

complete -F _rcl rcl
"""


def bash() -> str:
    tree = commands()
    flags = "\n".join(f'        "{command.name}") flags="{_flags(command)}" ;;' for command in tree)
    names = " ".join(_first_words(tree))
    early = " ".join(option.flag for option in GLOBAL_OPTIONS)
    return _BASH.format(note=NOTE, tables=_tables(tree), flags=flags, names=names, walk=_walk(tree), early=early)


# --- zsh --------------------------------------------------------------------------------------------------------------

_ZSH = """\
#compdef rcl
# zsh completion for rcl. {note}
# Use: put this file, under the name `_rcl`, into a folder of $fpath.

{tables}
_rcl_commands() {{
    local -a found=(
{commands}
        'help:Show the help of a command.'
    )
    _describe -t commands 'command' found
}}

_rcl_flags() {{
    local -a found
    case "$1" in
{flags}
    esac
    found+=('--help:Show what the command does.')
    _describe -o -t options 'option' found
}}

# Offers what `rcl complete` says: values, with their notes; behind some of them the word goes on.
_rcl_ask() {{
    local -a whole partial notes partial_notes
    local line value
    for line in "${{(@f)$("${{typed[1]/#\\~/$HOME}}" complete "$@" 2> /dev/null)}}"; do
        [[ -n $line ]] || continue
        value=${{line%%$'\\t'*}}
        if [[ $value == *[/=\\{{,] ]]; then
            partial+=("$value") partial_notes+=("${{line/$'\\t'/  }}")
        else
            whole+=("$value") notes+=("${{line/$'\\t'/  }}")
        fi
    done
    compadd -l -d notes -a whole
    compadd -l -S '' -d partial_notes -a partial
}}

_rcl() {{
    local cur command= option= word groups takes choices files asked value
    integer given=0 position=0
    local -a typed
    typed=("${{(@)words[1,CURRENT-1]}}") cur=${{words[CURRENT]}}
{walk}
    value=$cur
    if [[ $cur == --*=* ]]; then
        option=${{cur%%=*}} value=${{cur#*=}}
        compset -P '--[^=]#='
        _rcl_option "$command" "$option"
    elif [[ $cur == -* ]]; then
        _rcl_flags "$command"
        return
    elif [[ -n $option ]]; then
        _rcl_option "$command" "$option"
    elif [[ -z $command ]]; then
        _rcl_commands
        return
    else
        _rcl_words "$command"
        (( position )) && [[ -n $files ]] && choices=
        option=$asked
    fi
    if [[ -n $choices ]]; then
        compadd -- ${{=choices}}
    elif [[ -n $files ]]; then
        _files
    elif [[ -n $option ]]; then
        # Inside quotes the word is what it says; outside, backslashes are the shell's.
        [[ -n $compstate[quote] ]] && value=$PREFIX || value=${{(Q)PREFIX}}
        _rcl_ask "$command" "$option" "$value" "${{typed[@]}}"
    else
        _rcl_flags "$command"
    fi
}}

if [[ $funcstack[1] == _rcl ]]; then
    _rcl "$@"
else
    compdef _rcl rcl
fi
"""


def _zsh_entry(name: str, text: str) -> str:
    """An entry of `_describe`, whose parts are divided by colons."""
    escaped = text.replace("\\", "\\\\").replace(":", "\\:").replace("'", "'\\''")
    return f"'{name}:{escaped}'"


def zsh() -> str:
    tree = commands()
    shown = "\n".join(
        f"        {_zsh_entry(command.name, command.summary)}" for command in tree if " " not in command.name
    )
    cases = []
    for command in tree:
        entries = " ".join(_zsh_entry(option.flag, option.text) for option in command.options)
        cases.append(f'        "{command.name}") found=({entries}) ;;')
    cases.append("        *) found=('--version:Show the version.') ;;")
    return _ZSH.format(
        note=NOTE,
        tables=_tables(tree),
        commands=shown,
        flags="\n".join(cases),
        walk=_walk(tree),
    )


# --- fish -------------------------------------------------------------------------------------------------------------

_FISH = """\
# fish completion for rcl. {note}
# Use: put this file into ~/.config/fish/completions under the name `rcl.fish`.

# The words before the cursor without what stands before the command.
function __rcl_command
    set -l skip 0
    set -l group
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '--*' $word
            contains -- $word {early}
            and set skip 1
        else if test -n "$group"
            echo "$group $word"
            return 0
        else if contains -- $word {groups}
            set group $word
        else if test $word != rekognition
            echo $word
            return 0
        end
    end
    test -n "$group"
    and echo $group
end

function __rcl_is
    contains -- (__rcl_command) $argv
end

function __rcl_is_operation
    set -l command (__rcl_command)
    and not contains -- $command help {local}
end

function __rcl_needs_command
    not __rcl_command > /dev/null
end

# Whether the last option on the line takes several words, and this may be one of them.
function __rcl_in_list
    set -l last (string match -r -- '^--.*' (commandline -opc))[-1]
    contains -- "$last" $argv
    and not string match -q -- '-*' (commandline -ct)
end

function __rcl_ask
    set -l value (string replace -r -- '^(--[^=]*=)?[\\'"]?' '' (commandline -ct))
    set -l words (commandline -opc)
    set -l program (string replace -r -- '^~' $HOME $words[1])
    $program complete (__rcl_command) $argv[1] "$value" $words 2> /dev/null
end

complete -c rcl -f
complete -c rcl -n __rcl_needs_command -l version -d 'Show the version.'
complete -c rcl -l help -d 'Show what the command does.'
complete -c rcl -n __rcl_needs_command -a help -d 'Show the help of a command.'
complete -c rcl -n '__rcl_is help' -a '{names}'
{lines}
"""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_option(condition: str, option: Option) -> list[str]:
    head = f"complete -c rcl -n {condition} -l {option.flag[2:]}"
    about = f"-d {_quoted(option.text)}"
    if option.takes == "none":
        return [f"{head} {about}"]
    if option.files:
        return [f"{head} -r -F {about}"]
    values = _quoted(" ".join(option.choices)) if option.choices else f"'(__rcl_ask {option.flag})'"
    lines = [f"{head} -x -a {values} {about}"]
    if option.takes == "many":
        lines.append(f"complete -c rcl -n '__rcl_in_list {option.flag}' -a {values}")
    return lines


def fish() -> str:
    tree = commands()
    lines: list[str] = []
    everywhere = set.intersection(*(set(command.options) for command in tree if not command.is_local))
    for option in tree[0].options:
        if option in everywhere:
            lines += _fish_option("__rcl_is_operation", option)
    for command in tree:
        group, _, word = command.name.rpartition(" ")
        needed = f"'__rcl_is {group}'" if group else "__rcl_needs_command"
        lines.append(f"complete -c rcl -n {needed} -a {word} -d {_quoted(command.summary)}")
        condition = f"""'__rcl_is "{command.name}"'""" if group else f"'__rcl_is {command.name}'"
        if command.asked:
            lines.append(f"complete -c rcl -n {condition} -a '(__rcl_ask {command.asked})'")
        if command.words and not command.is_group:
            lines.append(f"complete -c rcl -n {condition} -a {_quoted(' '.join(command.words))}")
        if command.files:
            lines.append(f"complete -c rcl -n {condition} -F")
        for option in command.options:
            if option not in everywhere:
                lines += _fish_option(condition, option)
    unique = list(dict.fromkeys(lines))
    early = " ".join(option.flag for option in tree[0].options if option in everywhere and option.takes != "none")
    local = " ".join(f'"{command.name}"' for command in tree if command.is_local)
    names = " ".join(_first_words(tree))
    return _FISH.format(note=NOTE, lines="\n".join(unique), early=early, local=local, names=names, groups=_groups(tree))
