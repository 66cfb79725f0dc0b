"""What a user meant by a verb or word that does not exist, as other programs have it."""

import os
import shlex
import shutil
from difflib import get_close_matches

_VERBS = {
    "add": "submit",
    "check": "db check",
    "errors": "failures",
    "exec": "run -- COMMAND",
    "export": "db export",
    "generate-access": "server generate-access FILE",
    "jobs": "list",
    "kill": "cancel",
    "log": "failures",
    "logs": "failures",
    "ls": "list",
    "ps": "list",
    "qsub": "submit",
    "queue": "list",
    "rerun": "retry",
    "restart": "server --restart",
    "resubmit": "retry",
    "resume": "server FILE --resume",
    "rm": "delete",
    "sbatch": "submit",
    "show": "info",
    "srun": "run -- COMMAND",
    "start": "server FILE",
    "stat": "server info",
    "state": "server info",
    "status": "server info",
    "stop": "server stop",
    "tasks": "list",
    "version": "--version",
    "worker": "client",
}
"""Words that look like verbs, and the command that does what they say."""

_SERVER_WORDS = {
    "end": "server stop",
    "forever": "server --forever",
    "halt": "server stop",
    "kill": "server stop",
    "quit": "server stop",
    "restart": "server --restart",
    "resume": "server FILE --resume",
    "show": "server info",
    "shutdown": "server stop",
    "stat": "server info",
    "state": "server info",
    "status": "server info",
}
"""The same after `server`, where no file has that name."""


def meant_by_verb(words: list[str], verbs: list[str]) -> str:
    """The hint for words whose first is no verb; empty if nobody knows what was meant."""
    word = words[0]
    if word in _VERBS:
        return _did_you_mean(_VERBS[word])
    if close := get_close_matches(word, verbs, 1):
        return _did_you_mean(close[0])
    if os.path.isfile(word) and not os.access(word, os.X_OK):
        return _did_you_mean(f"cluster {shlex.join(words)}")
    if shutil.which(word):
        return _did_you_mean(f"run -- {shlex.join(words)}")
    return ""


def meant_by_server_word(word: str, known: list[str]) -> str:
    """The hint for the FILE of `server`, where there is no such file; empty if it may be a file."""
    if os.path.exists(word):
        return ""
    close = get_close_matches(word, known, 1, 0.75)
    command = _SERVER_WORDS.get(word) or (f"server {close[0]}" if close else "")
    return _did_you_mean(command) if command else ""


def meant_by_bare_command(verb: str, words: list[str], options: list[str]) -> str:
    """The hint for a command that `run` or `submit` was given without `--` before it.

    `options` are the words before it. A file that cannot be executed is a list of tasks.
    """
    name = words[0]
    is_list = os.path.isfile(name) and not os.access(name, os.X_OK) and not shutil.which(name)
    if verb == "submit" and len(words) == 1 and is_list:
        return _did_you_mean(shlex.join([verb, *options, "-f", name]))
    return _did_you_mean(shlex.join([verb, *options, "--", *words]))


def meant_by_client_file(words: list[str]) -> str:
    """The hint for a client that was given a file of tasks."""
    command = f"cluster {shlex.join(words)}"
    return f"a client gets its tasks from a server; `hyper-shell {command}` runs them here"


def _did_you_mean(command: str) -> str:
    return f"did you mean `hyper-shell {command}`?"
