"""Within a room too, imports go one way: what a sub-room may know of its room is listed here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "hypershell"

ARROWS = {
    # What decides is below what writes, and never knows that there is SQL.
    "store.tasks": set(),
    "store.sql": {"store.tasks"},
    # A condition is made of what core knows anyway: states, endings, units.
    "core.query": {"core"},
    # State is below those that change it or tell of it; reading is held back by reports that are
    # behind with writing; the server alone knows them all.
    "server.state": {"server.events"},
    "server.input": {"server.events", "server.reports"},
    "server.reports": {"server.events"},
    "server.planes": {"server.events", "server.state"},
    "server.loops": {"server.events", "server.state"},
    # What starts tasks takes them from the buffer, and knows nothing of a server.
    "client.tasks": {"client.task_buffer"},
    # Output is given values, completion the texts; verbs use both, and neither uses a verb.
    "cli.output": set(),
    "cli.completion": {"cli.verb_table"},
    "cli.verbs": {"cli", "cli.output", "cli.completion"},
}
"""For each sub-room the modules and sub-rooms of its own room from which it imports.

The name of a room alone stands for all the modules that lie directly in it.
"""


def name_of(path: Path) -> str:
    """What a module is called below the package, as in `store.sql.engine`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    """The room or sub-room in which a module lies; "" for the package's own modules."""
    return module.rpartition(".")[0]


def imported_modules(source: str) -> Iterator[str]:
    """Those of our modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if is_ours(name) else str(node.module) for name in within]
        else:
            continue
        yield from (name.removeprefix("hypershell.") for name in names if is_ours(name))


def is_ours(name: str) -> bool:
    """Whether this is the full name of one of our modules."""
    return name.startswith("hypershell.") and name.removeprefix("hypershell.") in MODULES


def breaches(room: str, source: str) -> list[str]:
    """What a module of a sub-room imports from its own room and may not."""
    top = room.partition(".")[0]
    return [
        f"{room} imports {name}"
        for name in imported_modules(source)
        if name.partition(".")[0] == top and room_of(name) != room
        if not {name, room_of(name)} & ARROWS[room]
    ]


SUB_ROOMS = {name: path for name, path in MODULES.items() if "." in room_of(name)}


def test_every_sub_room_says_what_it_may_import():
    """A new one has to say what it knows, and one that is gone is taken out."""
    assert {room_of(name) for name in SUB_ROOMS} == set(ARROWS)


@pytest.mark.parametrize("room", ARROWS)
def test_every_arrow_that_is_listed_is_used(room):
    """One that nobody needs is a hole."""
    sources = [path.read_text("utf-8") for name, path in SUB_ROOMS.items() if room_of(name) == room]
    used = {name for source in sources for name in imported_modules(source)}

    assert set() == ARROWS[room] - used - {room_of(name) for name in used}


@pytest.mark.parametrize("name", SUB_ROOMS)
def test_imports_within_a_room_go_one_way(name):
    """No module of a sub-room imports from its own room what is not listed."""
    assert [] == breaches(room_of(name), SUB_ROOMS[name].read_text("utf-8"))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("store.tasks", "import hypershell.store.sql.engine"),
        ("server.state", "from hypershell.server.planes import worker_service"),
        ("server.state", "def f():\n    from hypershell.server.loops.receiver import Receiver"),
        ("server.planes", "from hypershell.server.loops.receiver import Receiver"),
        ("server.reports", "from hypershell.server import server"),
        ("client.tasks", "from hypershell.client.client import Client"),
        ("cli.output", "from hypershell.cli.verbs import info"),
    ],
)
def test_a_breach_is_seen(room, source):
    """The walk above finds each kind of import that it forbids."""
    assert 1 == len(breaches(room, source))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("store.sql", "from hypershell.store.tasks.journal import Journal"),
        ("server.planes", "from hypershell.server.state import registry"),
        ("server.planes", "from hypershell.server.planes.completion import CompletionWaiters"),
        ("client.tasks", "from hypershell.client import task_buffer"),
        ("core.query", "from hypershell.core.units import parse_duration"),
        ("store.sql", "from hypershell.core.task import Task"),
    ],
)
def test_an_arrow_that_is_listed_is_no_breach(room, source):
    """Nor is an import from the same sub-room, or from another room, which others look at."""
    assert [] == breaches(room, source)
