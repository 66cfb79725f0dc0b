"""The program: finds the verb, makes its options of the command line, and runs it."""

from __future__ import annotations

import gc
import os
import sys

from hypershell import __version__
from hypershell.cli.explain import explain, explained

TYPE_CHECKING = False  # to import `typing` would take a quarter of the time of --version
if TYPE_CHECKING:
    from typing import NoReturn

    from hypershell.cli.verb_table import Verb

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


_OPTIONS = ("--help", "--version", "--server-dir", "--debug")

_GARBAGE_THRESHOLD = 10_000
"""Objects between two looks for garbage. What is imported stays, and the usual 700 look through it
again and again: a sixth of a server's start.
"""


def program() -> NoReturn:
    """Run the command line of this process, and end the process."""
    try:
        _open_standard_streams()
        gc.set_threshold(_GARBAGE_THRESHOLD)
        from hypershell.cli.output.stdout import watch_stdout

        watch_stdout()
    except Exception as error:  # noqa: BLE001 - whatever the system refuses this early
        leave(explain(error))
    try:
        leave(main())
    except BrokenPipeError:
        leave(0)  # the reader of our standard output has gone: there is nobody to write to


def leave(status: int) -> NoReturn:
    """End the process without taking the interpreter apart, which is of use to nobody.

    Threads that still wait for something end with it.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # closed, or nobody reads it
        except Exception as error:  # noqa: BLE001 - OutputUnwritable, and not imported for this
            status = explain(error)
    if "hypershell.cli.output.stderr" in sys.modules:
        from hypershell.cli.output.stderr import finish_messages

        finish_messages(patient=status < 128)
    os._exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return explained(lambda: _run(words), passed_on=BrokenPipeError)
    except KeyboardInterrupt:
        return 130


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
    if words[0] in ("-h", "--help"):
        print(usage(), end="")
        return 0
    if words[0] not in VERBS:
        raise _unknown(words)
    return _run_verb(VERBS[words[0]], words[1:])


def _run_verb(verb: Verb, words: list[str]) -> int:
    """Parse the words after a verb, make its options of them, and run it; the exit status."""
    from importlib import import_module

    from hypershell.cli.options import parse
    from hypershell.core.environment import secrets_in

    if secrets := secrets_in(os.environ):
        from hypershell.runtime.initial_environment import hide

        hide(secrets)
    module = import_module(verb.module)
    parsed = parse(module.USAGE, verb.name, words, getattr(module, "WORDS", None))
    if parsed is None:
        return 0
    from hypershell.cli.output.stderr import watch_stderr
    from hypershell.runtime.signals import begin_with_defaults

    begin_with_defaults()
    watch_stderr()
    options = module.options_from(parsed)
    if "--log-file" in parsed:
        from hypershell.cli.common_options import log_options_from
        from hypershell.cli.output.logs import set_up

        set_up(log_options_from(parsed))
    status: int = module.run(options)
    return status


def _open_standard_streams() -> None:
    """Open 0, 1 and 2 if they are closed, so that none of our own files gets such a number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


def usage() -> str:
    """The program's usage text, with its verbs."""
    return USAGE


def _unknown(words: list[str]) -> Exception:
    from hypershell.cli.arguments import no_such_option
    from hypershell.cli.meant import meant_by_verb
    from hypershell.cli.verb_table import VERBS
    from hypershell.core.errors import UsageError

    word = words[0]
    name = word.partition("=")[0]
    if word in _OPTIONS or name == "--server-dir":
        return UsageError(f"{name} must be followed by a verb")
    if name in _OPTIONS:
        return UsageError(f"{name} takes no value")
    if word.startswith("-"):
        return UsageError(no_such_option(name, _OPTIONS))
    return UsageError(f"there is no verb {word}", hint=meant_by_verb(words, list(VERBS)))


def _verbs() -> str:
    from hypershell.cli.verb_table import VERBS

    return "".join(f"  {verb.name:<12} {verb.summary}\n" for verb in VERBS.values())


USAGE = USAGE.format(verbs=_verbs())
