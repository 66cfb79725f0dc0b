"""Broken surroundings for a command: what a machine, a batch system or a script may have left."""

from typing import NamedTuple


class Surrounding(NamedTuple):
    """A shell's lines before a command, and variables; `{home}` is a folder made for it.

    Where it needs more than it finds here (namespaces, another user), the shell ends with 77.
    """

    name: str
    before: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    runs_in: str = "exec"
    """What the command is run by."""


_NO_PROC = "unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh"
_NO_SHM = "unshare -m sh -c 'mount -t tmpfs -o size=0,mode=0 none /dev/shm && exec \"$@\"' sh"
_NO_DEV = "unshare -m sh -c 'mount -t tmpfs none /dev && exec \"$@\"' sh"
_READ_ONLY = 'unshare -m sh -c \'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; '
_READ_ONLY += 'exec "$@"\' "$HOME"'
_FULL = 'unshare -m sh -c \'mount -t tmpfs -o size=4k none "$0" && cd / && exec "$@"\' "$HOME"'
_SIGNALS = "import os, signal, sys; {}; os.execvp(sys.argv[1], sys.argv[1:])"


def _python(body: str) -> str:
    return f"$PYTHON -c '{_SIGNALS.format(body)}'"


_EACH = "[signal.signal(n, signal.SIG_IGN) for n in {}]"
_ALL = "set(range(1, 32)) - {9, 19}"
_BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, {})"
_USER = "setpriv --reuid=54321 --regid=54321 --clear-groups"
# It may read our Python, wherever that is, and has no right to more processes than others.
_READS = "--inh-caps=+dac_override,+dac_read_search --ambient-caps=+dac_override,+dac_read_search"
_PROCESSES = f"prlimit --nproc={{}} {_USER} {_READS}"

SURROUNDINGS = (
    Surrounding("nothing is wrong"),
    Surrounding("no HOME", "unset HOME"),
    Surrounding("HOME is empty", "export HOME="),
    Surrounding("HOME is relative", "export HOME=here"),
    Surrounding("HOME is a file", 'touch "$HOME/file"; export HOME="$HOME/file"'),
    Surrounding("HOME is below a file", 'touch "$HOME/file"; export HOME="$HOME/file/x"'),
    Surrounding("HOME does not exist", 'export HOME="$HOME/nowhere"'),
    Surrounding("HOME is a loop of links", 'ln -s loop "$HOME/loop"; export HOME="$HOME/loop"'),
    Surrounding("HOME is /dev/null", "export HOME=/dev/null"),
    Surrounding("HOME is /proc", "export HOME=/proc"),
    Surrounding(
        "HOME is no UTF-8",
        "bad=$(printf '%s/h\\377' \"$HOME\"); mkdir \"$bad\"; export HOME=\"$bad\"; cd \"$bad\"",
    ),
    Surrounding(
        "HOME is long",
        'long=$HOME/$(printf "%0200d/%0200d/%0200d" 1 2 3); mkdir -p "$long"; export HOME="$long"',
    ),
    Surrounding("HOME has odd characters", 'export HOME="$HOME/a b?c#d%20e\'f"; mkdir "$HOME"'),
    Surrounding("HOME is read-only", runs_in=_READ_ONLY),
    Surrounding("HOME is full", runs_in=_FULL),
    Surrounding("no /proc", runs_in=_NO_PROC),
    Surrounding("no /dev/shm", runs_in=_NO_SHM),
    Surrounding("an empty /dev", runs_in=_NO_DEV),
    Surrounding("PATH is empty", "export PATH="),
    Surrounding("no PATH", "unset PATH"),
    Surrounding("LANG is C", "unset LC_ALL; export LANG=C LC_ALL=C PYTHONCOERCECLOCALE=0"),
    Surrounding("ASCII throughout", "export LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii"),
    Surrounding("LANG is unknown", "export LC_ALL=xx_YY.UTF-8"),
    Surrounding("TZ is unknown", "export TZ=Nowhere/At_All"),
    Surrounding("TERM is unknown", "export TERM=nonsense COLUMNS=x LINES=-1"),
    Surrounding("TMPDIR does not exist", "export TMPDIR=/nowhere"),
    Surrounding("no variable at all", runs_in="env -i"),
    Surrounding("descriptor 0 is closed", runs_in="exec <&- "),
    Surrounding("descriptor 1 is closed", runs_in="exec >&- "),
    Surrounding("descriptor 2 is closed", runs_in="exec 2>&- "),
    Surrounding("all descriptors are closed", runs_in="exec <&- >&- 2>&- "),
    Surrounding("standard output is full", runs_in="exec >/dev/full "),
    Surrounding("all output is full", runs_in="exec >/dev/full 2>/dev/full "),
    Surrounding("standard output is read-only", runs_in="exec 1</dev/null "),
    Surrounding("standard input is a directory", runs_in="exec </ "),
    Surrounding("a removed directory", 'mkdir "$HOME/gone"; cd "$HOME/gone"; rmdir "$HOME/gone"'),
    Surrounding("a directory that is closed", runs_in=f"chmod 0 . ; exec {_USER}"),
    Surrounding("a user without a name", 'chmod 777 "$HOME"', runs_in=f"exec {_USER} {_READS}"),
    Surrounding("three signals ignored", runs_in=_python(_EACH.format("[13, 17, 15]"))),
    Surrounding("all signals ignored", runs_in=_python(_EACH.format(_ALL))),
    Surrounding("SIGCHLD and SIGTERM blocked", runs_in=_python(_BLOCK.format("[17, 15]"))),
    Surrounding("all signals blocked", runs_in=_python(_BLOCK.format(_ALL))),
    *(Surrounding(f"{n} descriptors", f"ulimit -n {n}") for n in (5, 7, 9, 12, 16, 20)),
    *(
        Surrounding(f"{n} processes", 'chmod 777 "$HOME"', runs_in=_PROCESSES.format(n))
        for n in (1, 2, 4, 8)
    ),
    *(Surrounding(f"{n} MiB of memory", runs_in=f"prlimit --as={n << 20}") for n in (40, 60, 90)),
    Surrounding("files of no size", "ulimit -f 0"),
    Surrounding("files of 8 KiB", "ulimit -f 16"),
    Surrounding("umask 777", "umask 777"),
    Surrounding("umask 000", "umask 000"),
    Surrounding("a small stack", "ulimit -s 256"),
    Surrounding("no locked memory, no core", "ulimit -l 0; ulimit -c 0"),
    Surrounding("odd variables", variables=(
        ("HYPERSHELL_DATABASE", "postgresql://u:geheim@"), ("HYPERSHELL_AUTH", "\x01"),
    )),
    Surrounding("odd directory", variables=(("HYPERSHELL_SERVER_DIR", "/dev/null"),)),
    Surrounding("odd passphrase", variables=(("HYPERSHELL_PASSPHRASE", "\x01"),)),
)  # fmt: skip


def script(surrounding: Surrounding, command: str) -> str:
    """A shell script that runs a command in these surroundings."""
    return f"{surrounding.before}\n{surrounding.runs_in} {command}\n"
