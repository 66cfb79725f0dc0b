"""Time, chance, threads and waits come through `runtime`, so that a simulation can replace them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.runtime.lock_order import ORDER

PACKAGE = Path(__file__).parents[2] / "hypershell"

FORBIDDEN = {
    "time": {
        "time", "monotonic", "perf_counter", "clock_gettime", "sleep",
        "time_ns", "monotonic_ns", "perf_counter_ns", "clock_gettime_ns",
    },
    "threading": {
        "Thread", "Timer", "Condition", "Event", "Lock", "RLock", "Semaphore", "BoundedSemaphore",
        "Barrier", "local", "get_ident",
    },
    "random": None,
    "secrets": None,
    "queue": None,
}  # fmt: skip
"""What only `runtime` may use of a module; all of it where it says None."""

KEYS = {"access/endpoints.py", "access/keyring.py", "access/keys.py", "access/private_files.py",
        "access/seal.py"}  # fmt: skip
"""Files that use `secrets` itself for ever: what protects something stays unpredictable."""


def module_uses(source: str) -> Iterator[str]:
    """What a source uses of the modules above, as `module.name`, however it imports them."""
    names: dict[str, str] = {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update((a.asname or a.name, a.name) for a in node.names if a.name in FORBIDDEN)
        elif isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name(name), attribute) if name in names:
                yield f"{names[name]}.{attribute}"


def breaches(source: str) -> set[str]:
    """What a source uses and should get from `runtime`."""
    found = set()
    for use in module_uses(source):
        module, _, name = use.partition(".")
        some = FORBIDDEN[module]
        if some is None or name in some:
            found.add(use)
    return found


def offenders() -> dict[str, set[str]]:
    """Each file outside `runtime` with what it uses directly."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name.startswith("runtime/"):
            continue
        uses = breaches(path.read_text("utf-8"))
        if name in KEYS:
            uses = {use for use in uses if not use.startswith("secrets.")}
        if uses:
            found[name] = uses
    return found


def test_what_a_simulation_replaces_comes_through_runtime():
    """Nowhere else is the library used directly."""
    assert {} == offenders()


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_file_that_makes_keys_is_one(name):
    """The exception is used."""
    assert any(use.startswith("secrets.") for use in breaches((PACKAGE / name).read_text("utf-8")))


@pytest.mark.parametrize(
    ("source", "use"),
    [
        ("import time\ntime.sleep(1)", "time.sleep"),
        ("import time as t\nt.monotonic()", "time.monotonic"),
        ("from threading import Lock", "threading.Lock"),
        ("import threading\nx: threading.RLock", "threading.RLock"),
        ("import random\nrandom.random()", "random.random"),
        ("def f():\n    from secrets import token_hex", "secrets.token_hex"),
        ("import queue\nqueue.SimpleQueue()", "queue.SimpleQueue"),
    ],
)
def test_a_direct_use_is_seen(source, use):
    """Whichever way it is written."""
    assert {use} == breaches(source)


@pytest.mark.parametrize("source", ["import time\ntime.strftime('%H')", "import threading"])
def test_what_waits_for_nothing_is_free(source):
    """A simulation need not replace it."""
    assert set() == breaches(source)


def lock_names() -> list[str]:
    """The name given to each lock of the package, where it is made."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    ast.Attribute(ast.Name("threads"), "lock" | "rlock" | "condition"),
                    [ast.Constant(str(name))],
                ):
                    found.append(name)
    return found


def test_each_lock_in_the_order_is_made_in_one_place():
    """The order lists the locks that there are, each once, and no lock shares a name."""
    assert sorted(ORDER) == sorted(lock_names())
