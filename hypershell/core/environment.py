"""The environment variables that this program reads, and which of them are secrets."""

import re
from collections.abc import Callable, Mapping

AUTH = "HYPERSHELL_AUTH"
"""The key of the worker plane, as `-k` gives it."""

PASSPHRASE = "HYPERSHELL_PASSPHRASE"
"""The passphrase of access files that are sealed with one."""

SEAL_KEY = "HYPERSHELL_SEAL_KEY"
"""The path of the seal key file."""

SERVER_DIR = "HYPERSHELL_SERVER_DIR"
"""The server directory, as `--server-dir` gives it."""

RUN = "HYPERSHELL_RUN"
"""The run whose server a command asks that names none, as `--run` gives it: a task has that of the
server that runs it."""

DATABASE = "HYPERSHELL_DATABASE"
"""The task database, as `--database` gives it."""

PARENT = "HYPERSHELL_PARENT"
"""The process whose death a client must not survive; a launcher sets it."""

OUTPUT_LOCK = "HYPERSHELL_OUTPUT_LOCK"
"""The descriptor of a file in which the clients of a launcher lock their common output."""

CONTROL = "HYPERSHELL_CONTROL"
"""The descriptor by which a launcher tells its client to pause, and to go on; it sets it."""

PGPASSWORD = "PGPASSWORD"
"""The password of a PostgreSQL database, as its own programs take it."""

_USER_PASSWORD = re.compile(r"[^:]*://[^:/@]*:[^@]*@")
_ENCODED = re.compile("%([0-9a-fA-F]{2})")


def has_password(url: str) -> bool:
    """Whether the URL of a database may hold a password, as part of it or as a parameter."""
    plain = _ENCODED.sub(lambda found: chr(int(found[1], 16)), url).lower()
    return bool(_USER_PASSWORD.match(url)) or "password=" in plain.partition("?")[2]


def _always(_: str) -> bool:
    return True


WITHHELD: Mapping[str, Callable[[str], bool]] = {
    AUTH: _always,
    PASSPHRASE: _always,
    DATABASE: has_password,
    PARENT: _always,
    OUTPUT_LOCK: _always,
    CONTROL: _always,
}
"""The variables of a client that its tasks do not get, by the values that they must not see.

All others they have as the client was started with them. A `cluster` keeps PGPASSWORD from its
clients where it uses it itself.
"""


def is_withheld(name: str, value: str) -> bool:
    """Whether a task does not get a variable of its client."""
    withholds = WITHHELD.get(name)
    return withholds is not None and withholds(value)


_OF_A_PROCESS = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})


def variables_to_export(environ: Mapping[str, str]) -> dict[str, str]:
    """All variables that are to be given to tasks elsewhere: none that only its own process needs.

    What tasks do not get of their client (`is_withheld`) is not among them, nor what a task has of
    its own.
    """
    return {
        name: value
        for name, value in environ.items()
        if not is_withheld(name, value)
        and name not in _OF_A_PROCESS
        and not name.startswith("TASK_")
    }


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """The variables that hold a secret: others must not find them in /proc either."""
    return [n for n in (AUTH, PASSPHRASE, DATABASE) if n in environ and is_withheld(n, environ[n])]
