"""`core` is values and rules: it starts no thread, takes no signal, opens no file or socket."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "hypershell" / "core"

OUTSIDE = {
    "asyncio", "concurrent", "fcntl", "mmap", "multiprocessing", "os", "pathlib", "resource",
    "select", "selectors", "shutil", "signal", "socket", "subprocess", "tempfile", "termios",
    "threading", "time",
}  # fmt: skip
"""Modules by which a program reaches the system around it."""

TABLES = {"signal.Signals"}
"""What of them does nothing: the names and numbers of signals."""


def reached(source: str) -> Iterator[str]:
    """What a source uses of the modules by which a program reaches the system, as in `os.open`."""
    tree = ast.parse(source)
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in OUTSIDE:
                    known[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in OUTSIDE:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "open":
            yield "open"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in known:
            yield f"{known[node.value.id]}.{node.attr}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.name)
def test_core_reaches_nothing_outside(path):
    """Of modules that do something to the system it uses the tables alone."""
    assert set() == set(reached(path.read_text("utf-8"))) - TABLES


@pytest.mark.parametrize(
    "source",
    [
        "import threading\nlock = threading.Lock()",
        "from threading import Lock",
        "import signal\nsignal.signal(15, None)",
        "import os as system\nsystem.open('x', 0)",
        "import socket\n\n\ndef f():\n    return socket.create_server(('', 0))",
        "from time import sleep",
        "with open('x') as file:\n    pass",
        "from pathlib import Path",
    ],
)
def test_a_reach_outside_is_seen(source):
    """The walk above finds each way out that it forbids."""
    assert set(reached(source)) - TABLES


def test_a_name_of_a_signal_is_no_reach():
    """It is read from a table."""
    assert {"signal.Signals"} == set(reached("import signal\nprint(signal.Signals(9).name)"))
