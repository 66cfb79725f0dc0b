"""Writes what is made from the usage texts: man pages, and the reference of the manual.

`python -m tools.pages` writes them, `--check` only says which are out of date. The
completion scripts come from the same texts, when they are asked for, and are stored nowhere.
"""

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
from tools import roff, rst

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
  TASK_NUMBER            the number of its line in the input; 0 if submitted
  TASK_ARGS              its command, unless too long for the environment
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


def overview_usage() -> Usage:
    """The program's own text, with the tables that belong to no verb."""
    usage = read_usage(usage_of(""))
    own = {section.title for section in usage.sections}
    more = [s for s in read_usage(REFERENCE).sections if s.title not in own]
    verbs = Section("Verbs", tuple(Entry(name, verb.summary) for name, verb in VERBS.items()))
    if "Verbs" not in own:
        more.insert(0, verbs)
    return Usage(usage.synopsis, (*usage.sections, *more))


def overview() -> str:
    """The page hyper-shell(1)."""
    others = [f"{PROGRAM}-{verb}" for verb in VERBS]
    return roff.page(PROGRAM, SUMMARY, overview_usage(), others)


def page_of(verb: str) -> str:
    """The page of one verb and its commands of two words, such as hyper-shell-server(1)."""
    summary = VERBS[verb].summary
    others = [PROGRAM, *(f"{PROGRAM}-{other}" for other in VERBS if other != verb)]
    commands = {f"{verb} {word}": text for word, text in _commands_of(verb).items()}
    return roff.page(f"{PROGRAM}-{verb}", summary, read_usage(usage_of(verb)), others, commands)


def reference_of(verb: str) -> str:
    """The page of one verb in the manual's reference."""
    summary = VERBS[verb].summary
    commands = {f"{PROGRAM} {verb} {word}": text for word, text in _commands_of(verb).items()}
    name, usage = f"{PROGRAM} {verb}", read_usage(usage_of(verb))
    return rst.page(name, as_sentence(summary), usage, commands)


def _commands_of(verb: str) -> dict[str, Usage]:
    """The usage of each command of two words that begins with a verb, by its second word."""
    return {word: read_usage(usage_of(f"{verb} {word}")) for word in words_of(verb)}


def as_sentence(summary: str) -> str:
    """A summary with a capital at its start and a full stop."""
    return f"{summary[0].upper()}{summary[1:]}."


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Each file that is made here, with what belongs into it."""
    yield root / "man" / f"{PROGRAM}.1", overview()
    whole = rst.page(PROGRAM, as_sentence(SUMMARY), overview_usage())
    yield root / "docs" / "reference" / f"{PROGRAM}.rst", whole
    for verb in VERBS:
        yield root / "man" / f"{PROGRAM}-{verb}.1", page_of(verb)
        yield root / "docs" / "reference" / f"{verb}.rst", reference_of(verb)


def out_of_date(root: Path) -> list[Path]:
    """The files that are not what they would be if they were made now."""
    wanted = dict(pages(root))
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    there = {*(root / "man").glob("*.1"), *(root / "docs" / "reference").glob("*.rst")}
    by_hand = {root / "docs" / "reference" / "index.rst"}
    return stale + sorted(there - by_hand - set(wanted))


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
