"""Writes what is made from the usage texts: man pages, and the usage blocks of the README.

`python -m tools.pages` writes them, `--check` only says which are out of date. The
completion scripts come from the same texts, when they are asked for, and are stored nowhere.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from hypershell.cli.completion.usage import (
    PROGRAM,
    Entry,
    Section,
    Usage,
    read_usage,
    usage_of,
    words_of,
)
from hypershell.cli.verb_table import VERBS
from tools import roff

ROOT = Path(__file__).parents[1]
SUMMARY = "a task farm for files of shell commands"

REFERENCE = """\
Exit status:
  0    every task succeeded
  1    at least one task failed, was cancelled or was interrupted
  2    the command line is wrong
  3    the server or client could not start, for example because the input file
       is missing or the address is in use
  4    no server: none is running, it cannot be reached, or it timed out
  5    refused: the wrong key or port, or an access file that others can read,
       that was changed, or that cannot be opened
  6    the connection was lost and could not be restored
  70   an error in hyper-shell itself
  129  ended by SIGHUP
  130  ended by SIGINT
  143  ended by SIGTERM

Environment:
  HYPERSHELL_AUTH        the key for clients, like -k, but not shown by ps
  HYPERSHELL_DATABASE    the task database, like --database
  HYPERSHELL_SERVER_DIR  the server directory, like --server-dir
  HYPERSHELL_PASSPHRASE  the passphrase of access files that are sealed with one
  HYPERSHELL_SEAL_KEY    the seal key file, instead of the one below
  TASK_ID                set for each task: its id
  TASK_ARGS              its line, unless it is too long for the environment
  TASK_ATTEMPT           the number of this attempt, from 1
  TASK_SLOT              the number of the slot that it uses on its client
  TASK_CLIENT_ID         the id of the client that runs it
  TASK_CLIENT_HOST       the host of that client

Files:
  ~/.hyper-shell                  the server directory, unless another is given
  ~/.config/hyper-shell/seal.key  the key that seals access files; below
                                  XDG_CONFIG_HOME if that is set
"""
"""What the overview says beyond the program's own usage text."""

BLOCK = re.compile(
    r"(?P<begin>^\.\. usage: (?P<verb>[a-z-]+)\n)(?P<old>.*?)(?P<end>^\.\. end usage$)",
    re.MULTILINE | re.DOTALL,
)
"""A place in the README that is filled with the usage text of a verb, or of `hyper-shell`."""


def overview() -> str:
    """The page hyper-shell(1)."""
    usage = read_usage(usage_of(""))
    own = {section.title for section in usage.sections}
    more = [s for s in read_usage(REFERENCE).sections if s.title not in own]
    verbs = Section("Verbs", tuple(Entry(name, text) for name, (_, text) in VERBS.items()))
    if "Verbs" not in own:
        more.insert(0, verbs)
    whole = Usage(usage.synopsis, (*usage.sections, *more))
    return roff.page(PROGRAM, SUMMARY, whole, [f"{PROGRAM}-{verb}" for verb in VERBS])


def page_of(verb: str) -> str:
    """The page of one verb and its commands of two words, such as hyper-shell-server(1)."""
    _, summary = VERBS[verb]
    others = [PROGRAM, *(f"{PROGRAM}-{other}" for other in VERBS if other != verb)]
    commands = {f"{verb} {word}": read_usage(usage_of(f"{verb} {word}")) for word in words_of(verb)}
    return roff.page(f"{PROGRAM}-{verb}", summary, read_usage(usage_of(verb)), others, commands)


def with_usage(readme: str) -> str:
    """The README with each of its usage blocks filled from the verb's text."""

    def fill(found: re.Match[str]) -> str:
        verb = "" if found["verb"] == PROGRAM else found["verb"]
        lines = usage_of(verb).strip("\n").splitlines()
        body = "\n".join(f"    {line}".rstrip() for line in lines)
        return f"{found['begin']}\n::\n\n{body}\n\n{found['end']}"

    return BLOCK.sub(fill, readme)


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Each file that is made here, with what belongs into it."""
    yield root / "man" / f"{PROGRAM}.1", overview()
    for verb in VERBS:
        yield root / "man" / f"{PROGRAM}-{verb}.1", page_of(verb)
    readme = root / "README.rst"
    if readme.exists():
        yield readme, with_usage(readme.read_text("utf-8"))


def out_of_date(root: Path) -> list[Path]:
    """The files that are not what they would be if they were made now."""
    wanted = dict(pages(root))
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    return stale + sorted(set((root / "man").glob("*.1")) - set(wanted))


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` name those that are out of date and return 1."""
    stale = out_of_date(ROOT)
    wanted = dict(pages(ROOT))
    for path in stale:
        print(f"out of date: {path}" if "--check" in arguments else f"wrote {path}")
        if "--check" in arguments:
            continue
        if path in wanted:
            path.write_text(wanted[path], "utf-8")
        else:
            path.unlink()
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
