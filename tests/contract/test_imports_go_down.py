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

TO_BE_CUT = {"app": {"cli"}, "launch": {"client"}}
"""Arrows upwards that are still there while what they carry moves down."""

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


def room_of(path: Path) -> str:
    """The room of a module; "" for the package's own `__init__` and `__main__`."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def breaches(room: str, source: str) -> list[str]:
    """What a module of a room imports and may not."""
    found = []
    for name in imported_names(source):
        words = name.split(".")
        if words[0] == "hypershell" and len(words) > 1 and room and words[1] in FLOORS:
            other = words[1]
            if other in TO_BE_CUT.get(room, ()):
                continue
            if other != room and FLOORS[other] >= FLOORS[room]:
                found.append(f"{room} imports {name}")
        for library, rooms in OWNERS.items():
            if f"{name}.".startswith(f"{library}.") and room not in rooms:
                found.append(f"{room or 'the package'} imports {name}")
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
    assert [] == breaches(room_of(path), path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "import hypershell.wire.plane_server"),
        ("client", "from hypershell.server import farm"),
        ("store", "def f():\n    from hypershell.wire import door"),
        ("core", "from hypershell import access"),
        ("server", "import docopt"),
        ("server", "from ssl import SSLContext"),
        ("client", "from multiprocessing import managers"),
        ("access", "import sqlalchemy.orm"),
    ],
)
def test_a_breach_is_seen(room, source):
    """The walk above finds each kind of import that it forbids."""
    assert 1 == len(breaches(room, source))
