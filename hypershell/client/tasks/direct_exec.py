"""Lines that need no shell: the words of a command that any POSIX shell would run the same way.

Only where nobody can see a difference: every character stands for itself, and the first word is
neither a builtin nor a keyword of any common shell.
"""

import re

_PLAIN = re.compile(rb"[A-Za-z0-9_./+:,@%= -]+")

_SHELL_WORDS = frozenset(
    b"""
    . : [ alias autoload bg bind bindkey break builtin bye caller case cd chdir command compgen
    complete compopt continue coproc declare dirs disown do done echo elif else emulate enable end
    esac eval exec exit export false fc fg fi float for foreach function functions getopts hash
    help history if in integer jobs kill let limit local log logout mapfile nocorrect noglob popd
    print printf pushd pwd r read readarray readonly rehash repeat return sched select set setopt
    shift shopt source stop suspend test then time times trap true ttyctl type typeset ulimit
    umask unalias unfunction unhash unlimit unset unsetopt until vared wait whence where which
    while
    compadd comparguments compcall compctl compdescribe compfiles compgroups compquote compset
    comptags comptry compvalues disable echotc echoti getln private pushln zcompile zformat zle
    zmodload zparseopts zregexparse zstyle
    """.split()
)


def plain_words(command: bytes) -> list[bytes] | None:
    """The words of a command that needs no shell; None for any other."""
    if not _PLAIN.fullmatch(command):
        return None
    words = command.split()
    if not words or words[0] in _SHELL_WORDS or b"=" in words[0] or words[0][:1] in (b"-", b"+"):
        return None
    return words
