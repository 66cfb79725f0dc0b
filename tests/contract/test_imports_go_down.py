"""The rooms import downwards only, and some libraries belong to one room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "hypershell"

FLOORS = {
    "core": 1, "runtime": 1,
    "access": 2, "store": 2, "launch": 2,
    "wire": 3, "serverdir": 3,
    "server": 4, "client": 4,
    "app": 5,
    "cli": 6,
}  # fmt: skip
"""A room imports from rooms on lower floors, and from itself."""

DRAWERS = {
    "cli.verb_table": 0, "cli.arguments": 0, "cli.meant": 0,
    "cli.hints": 1, "cli.texts": 1, "cli.selection_texts": 1, "cli.system_errors": 1,
    "cli.output": 2, "cli.prompts": 2, "cli.explain": 2,
    "cli.completion": 3,
    "cli.complaint": 4,
    "cli.options": 5,
    "cli.run_option": 6,
    "cli.common_options": 7, "cli.selection_options": 7, "cli.input_options": 7,
    "cli.offer_options": 7, "cli.holding": 8, "cli.sort_option": 7,
    "cli.dry_run": 8, "cli.changing": 8, "cli.server_options": 8,
    "cli.verbs": 9,
    "cli.main": 10,
    "store.tasks": 1, "store.sql": 2,
}  # fmt: skip
"""The floors within a room: a module imports from lower ones, and from its own drawer."""

OWNERS = {
    "docopt": {"cli"},
    "re2": {"core"},
    "sqlalchemy": {"store"},
    "tabulate": {"cli"},
    "ssl": {"access", "wire"},
    "cryptography": {"access", "wire"},
    "multiprocessing.managers": {"wire"},
}
"""A library that only these rooms know."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def imported_names(source: str) -> Iterator[str]:
    """Every module that a source imports, wherever in it, with `from a import b` also as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    """The name of a module."""
    words = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" and len(words) > 2 else words)


def room_of(path: Path) -> str:
    """The room of a module; "" for the package's own `__init__` and `__main__`."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def drawer_of(name: str) -> str:
    """The drawer of a module in its room, or "" where a room has none."""
    words = name.split(".")[1:]
    parts = [".".join(words[:count]) for count in range(len(words), 0, -1)]
    return next((part for part in parts if part in DRAWERS), "")


def goes_down(module: str, name: str) -> bool:
    """Whether a module may import something of this program."""
    room, other = (each.split(".")[1] if "." in each else "" for each in (module, name))
    if other not in FLOORS:
        return True
    if room not in FLOORS:  # a module of the package itself
        return other != "cli" or module == "hypershell.__main__"
    if room != other:
        return FLOORS[other] < FLOORS[room]
    drawer, below = drawer_of(module), drawer_of(name)
    return not drawer or not below or below == drawer or DRAWERS[below] < DRAWERS[drawer]


def breaches(module: str, source: str) -> list[str]:
    """What a module imports and may not."""
    room = module.split(".")[1]
    found = []
    for name in imported_names(source):
        if name.split(".")[0] == "hypershell" and not goes_down(module, name):
            found.append(f"{module} imports {name}")
        for library, rooms in OWNERS.items():
            if f"{name}.".startswith(f"{library}.") and room not in rooms:
                found.append(f"{module} imports {name}")
    return found


def test_tables_are_printed_in_one_place():
    """Elsewhere nobody knows how columns are aligned."""
    known = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if "tabulate"
        in {name.partition(".")[0] for name in imported_names(path.read_text("utf-8"))}
    }

    assert {"cli/output/rows.py"} == known


def test_every_room_has_a_floor():
    """A new room has to say where it stands."""
    rooms = {room_of(path) for path in MODULES} - {""}

    assert rooms <= set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    """No module imports from above, from beside, or a library of another room."""
    assert [] == breaches(module_of(path), path.read_text("utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_of_a_room_with_drawers_is_in_one(path):
    """A new file of the command line has to say where it stands."""
    name = module_of(path)

    assert room_of(path) != "cli" or name == "hypershell.cli" or drawer_of(name)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.task", "import hypershell.wire.plane_server"),
        ("client.client", "from hypershell.server import farm"),
        ("store.outputs", "def f():\n    from hypershell.wire import door"),
        ("core.task", "from hypershell import access"),
        ("server.server", "import docopt"),
        ("server.server", "from ssl import SSLContext"),
        ("client.client", "from multiprocessing import managers"),
        ("access.keys", "import sqlalchemy.orm"),
        ("app.serve", "from hypershell.cli.options import Parsed"),
        ("app.serve", "import docopt"),
        ("version", "from hypershell.cli.main import program"),
        ("cli.output.rows", "from hypershell.cli.verbs.list import ListOptions"),
        ("cli.options", "from hypershell.cli.verbs import list"),
        ("cli.options", "from hypershell.cli import main"),
        ("store.tasks.queue", "from hypershell.store.sql import engine"),
    ],
)
def test_a_breach_is_seen(module, source):
    """The walk above finds each kind of import that it forbids."""
    assert 1 == len(breaches(f"hypershell.{module}", source))
