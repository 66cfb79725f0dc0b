"""Fits the commands that messages name to the situation of the user who reads them.

The rooms below know no command line: what they log, and what errors advise, names a command as
`hyper-shell VERB ...` in backticks. Here it becomes one that works as printed: for a user of
`cluster` it is `cluster`, and it has the place that this command line was given.
"""

import re
import shlex
from collections.abc import Mapping

_COMMAND = re.compile(r"`hyper-shell (\w[\w-]*)((?: [^`]*)?)`")
PLACES = ("--server-dir", "--database")
"""The options that say where a command works."""

_ONLY_SERVER = ("info", "stop", "wait", "start", "generate-access", "--forever")


NEXT_RUN = (
    "no server is running; `hyper-shell cluster --restart` or `hyper-shell server --restart` "
    "runs {}"
)
"""What is said of tasks that wait in a database."""


class Situation:
    """The command line of this process: its verb, and the options that say where it works."""

    verb = ""
    places: Mapping[str, str] = {}

    @classmethod
    def note(cls, verb: str, values: Mapping[str, str | None]) -> None:
        """This is the command line of this process."""
        cls.verb = verb.partition(" ")[0]
        cls.places = {name: value for name in PLACES if (value := values.get(name)) is not None}


def fitted(text: str) -> str:
    """A message, with the commands in it as they work in the situation of this command line."""
    return _COMMAND.sub(_fit, text) if "`hyper-shell " in text else text


def _fit(found: re.Match[str]) -> str:
    verb = found[1]
    # What follows `--` is a command of the user's, and takes no option of ours.
    rest, separator, command = found[2].partition(" -- ")
    words = rest.split()
    if Situation.verb == "cluster" and verb == "server" and not set(words) & set(_ONLY_SERVER):
        verb = "cluster"
    if "--help" not in words:
        accepted = _options_of(verb, words)
        for name, value in Situation.places.items():
            if name in accepted and name not in words and not _is_secret(name, value):
                rest += f" {name} {shlex.quote(value)}"
    return f"`hyper-shell {verb}{rest}{separator}{command}`"


def _options_of(verb: str, words: list[str]) -> frozenset[str]:
    """The options that a verb accepts, with its second word if that is a command of its own."""
    from importlib import import_module

    from hypershell.cli.arguments import UsageText
    from hypershell.cli.verb_table import VERBS

    if verb not in VERBS:
        return frozenset()
    module = import_module(VERBS[verb].module)
    texts = getattr(module, "WORDS", {})
    text = next((texts[word] for word in words[:1] if word in texts), module.USAGE)
    return frozenset(UsageText(text).options)


def _is_secret(name: str, value: str) -> bool:
    """Whether a database URL may have a password: it is not shown, and the user knows it."""
    return name == "--database" and ("@" in value or "password" in value)
