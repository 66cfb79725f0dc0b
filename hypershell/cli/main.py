"""The program: finds the verb, runs it, and turns errors into two lines and an exit status."""

import gc
import os
import sys
from typing import NoReturn

from hypershell import __version__

USAGE = """\
Usage:
  hyper-shell [--server-dir DIR] VERB [ARGUMENTS...]
  hyper-shell help VERB
  hyper-shell (-h | --help | -V | --version)

A task farm for files of shell commands: run each line as a task, on one machine
or on many, and know at the end which lines failed.

Verbs:
{verbs}
Options:
  -h, --help     Show this text, or after a verb the text of that verb, and
                 exit.
  -V, --version  Show the version and exit.
  --server-dir DIR
                 The server directory, before or after the verb; see
                 `hyper-shell server --help`.
  --debug        Show the traceback of an error; before or after the verb.

Examples:
  $ hyper-shell cluster tasks.txt -N 8 -f failed.txt

  $ hyper-shell server tasks.txt -p 50001 -f failed.txt

  $ hyper-shell client -H node1 -p 50001 -N 4
"""


INTERNAL_ERROR = 70
"""Exit status of a defect of ours (EX_SOFTWARE, sysexits.h): not to be taken for a failed task."""

_OPTIONS = ("--help", "--version", "--server-dir", "--debug")

_GARBAGE_THRESHOLD = 10_000
"""Objects between two looks for garbage. What is imported stays, and the usual 700 look through it
again and again: a sixth of a server's start.
"""


def program() -> NoReturn:
    """Run the command line of this process, and end the process."""
    _open_standard_streams()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    from hypershell.cli.output.stdout import watch_stdout

    watch_stdout()
    try:
        leave(main())
    except BrokenPipeError:
        leave(0)  # whoever read our standard output has gone; nothing more can be said to them


def leave(status: int) -> NoReturn:
    """End the process without taking the interpreter apart, which is of use to nobody.

    Threads that still wait for something end with it.
    """
    from hypershell.core.errors import HyperShellError

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # closed, or nobody reads it
        except HyperShellError as error:  # it is full: what was printed is not there
            status = explain(error)
    os._exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(words)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if Debugging.on:
            raise
        return explain(error)


def _run(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        print(f"hyper-shell {__version__}")
        return 0
    from hypershell.cli.verb_table import VERBS

    if not words or words[0] in ("-h", "--help") or words == ["help"]:
        print(usage(), end="")
        return 0 if words else 2
    from hypershell.cli.arguments import verb_first

    words = [*words[1:], "--help"] if words[0] == "help" else verb_first(words)
    from importlib import import_module

    if words[0] not in VERBS:
        raise _unknown(words[0])
    verb = import_module(VERBS[words[0]][0])
    status: int = verb.run(words[1:])
    return status


class Debugging:
    """Whether errors are to show where they come from."""

    on = False


def _open_standard_streams() -> None:
    """Whoever started us may have closed 0, 1 or 2; no file of ours is to get such a number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


def explain(error: Exception) -> int:
    """Say on standard error what happened and what to do; the exit status."""
    from hypershell.core.errors import HyperShellError

    error = _understood(error)
    if isinstance(error, HyperShellError):
        lines, status = [f"hyper-shell: error: {error}"], error.exit_code
        if error.advice:
            lines.append(f"hint: {error.advice}")
    else:
        lines = [
            f"hyper-shell: error: {type(error).__name__}: {error}",
            "hint: this is a bug; run the command again with --debug and report the output",
        ]
        status = INTERNAL_ERROR
    try:
        print("\n".join(map(_visible, lines)), file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody to tell
    return status


def _understood(error: Exception) -> Exception:
    """An error, or what it came from if that is a want of descriptors."""
    import errno

    cause: BaseException | None = error
    seen: set[BaseException | None] = set()  # an error that is raised again is its own cause
    while cause is not None and cause not in seen:
        seen.add(cause)
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            from hypershell.core.errors import TooFewDescriptors

            return TooFewDescriptors(limit=os.sysconf("SC_OPEN_MAX"))
        cause = cause.__cause__
    return error


def _visible(line: str) -> str:
    """A line with nothing in it that moves a cursor, such as the name of a file may have."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in line
    )


def usage() -> str:
    """The program's usage text, with its verbs."""
    return USAGE


def _unknown(word: str) -> Exception:
    from difflib import get_close_matches

    from hypershell.cli.arguments import no_such_option
    from hypershell.cli.verb_table import VERBS
    from hypershell.core.errors import UsageError

    name = word.partition("=")[0]
    if word in _OPTIONS or name == "--server-dir":
        return UsageError(f"{name} needs a verb after it")
    if name in _OPTIONS:
        return UsageError(f"{name} takes no value")
    if word.startswith("-"):
        return UsageError(no_such_option(name, _OPTIONS))
    close = get_close_matches(word, VERBS, 1)
    hint = f"did you mean `hyper-shell {close[0]}`?" if close else ""
    return UsageError(f"there is no verb {word}", hint=hint)


def _verbs() -> str:
    from hypershell.cli.verb_table import VERBS

    return "".join(f"  {name:<12} {summary}\n" for name, (_, summary) in VERBS.items())


USAGE = USAGE.format(verbs=_verbs())
