"""What users ask for most comes at once: `--version` and `--help` import next to nothing."""

import resource
import subprocess
import sys

import pytest

from hypershell import __version__
from hypershell.cli.verb_table import VERBS

COMMAND = [sys.executable, "-m", "hypershell"]
LIMIT_SECONDS = 0.080

ALLOWED = {
    "contextlib", "functools", "hypershell", "importlib", "keyword", "operator", "reprlib", "runpy",
    "pkgutil", "types", "warnings", "__future__", "collections", "itertools", "abc", "io", "os",
    "sys", "weakref", "time", "zipimport", "annotationlib", "gc",
}  # fmt: skip
"""Top-level modules that starting up may import; what is not here needs a reason to get in."""

LIBRARIES = {
    "ssl", "multiprocessing", "cryptography", "msgpack", "psutil", "re2", "tabulate",
    "sqlalchemy",
}  # fmt: skip

HEAVY = LIBRARIES | {
    "dataclasses", "inspect", "asyncio", "socket", "subprocess", "json", "email", "sqlite3",
}  # fmt: skip


def imports_of(arguments: list[str]) -> set[str]:
    """The top-level modules that a command imports, beyond those of the bare interpreter."""
    return _imported([*COMMAND[1:], *arguments]) - _imported(["-c", "pass"])


def _imported(words: list[str]) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True
    )
    names = (line.rpartition("|")[2].strip() for line in ended.stderr.splitlines())
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start_up_imports_nothing_heavy(option):
    """The two commonest options pay for no library that they do not use."""
    imported = imports_of([option])

    assert set() == imported & HEAVY


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start_up_imports_only_what_is_listed(option):
    """A new import at start-up is a decision."""
    imported = {name for name in imports_of([option]) if not name.startswith("_")}

    assert set() == imported - ALLOWED


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_imports_nothing_heavy(verb):
    """Reading a verb's help does not load what running it needs."""
    imported = imports_of([verb, "--help"])

    assert set() == imported & LIBRARIES


AS_A_SUPERVISOR = """
import os, sys
from hypershell.cli.verbs import client
from hypershell.cli.options import parse
from hypershell.client import supervisor
options = client.options_from(parse(client.USAGE, "client", ["--server-dir", os.devnull]))
import hypershell.app.join
options.location.with_passphrase()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
"""What the process of a supervisor does before it starts its client."""


def test_a_supervisor_imports_nothing_heavy():
    """There is one for each client, and it only waits: what a client needs is imported below it."""
    ended = subprocess.run(
        [sys.executable, "-c", AS_A_SUPERVISOR],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )

    assert set() == set(ended.stdout.split()) & (LIBRARIES | {"socket", "subprocess", "asyncio"})


def test_version_is_printed_at_once():
    """`--version` costs less than 80 ms of CPU, best of five, and prints the version.

    It waits for nothing, so on a machine that is free this is the time that it takes; what other
    tests do beside it is not counted.
    """
    seconds = []
    for _ in range(5):
        before = cpu_seconds_of_children()
        ended = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
        seconds.append(cpu_seconds_of_children() - before)

    assert __version__ in ended.stdout
    assert min(seconds) < LIMIT_SECONDS


def cpu_seconds_of_children() -> float:
    """User and system time of all children that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
