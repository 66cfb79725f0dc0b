"""Modules and functions stay small enough to be read in one go.

Size is a smell and no goal: each limit lies well above what there is, so that nobody squeezes a
line out to stay below it. What comes near one has long had reason to be two things.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILE = 500
MAX_TEST_FILE = 1000
MAX_FUNCTION = 60

SOURCES = sorted(
    path
    for room in ("hypershell", "tests", "tools", "benchmarks", "examples")
    for path in (ROOT / room).rglob("*.py")
)


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short(path):
    """A file of more lines is split; one of tests, which nobody reads as a whole, later."""
    limit = MAX_TEST_FILE if path.name.startswith("test_") else MAX_FILE

    assert len(path.read_text("utf-8").splitlines()) <= limit


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_is_short(path):
    """A function fits on a screen, its docstring included."""
    sizes = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions_of(path)}

    assert {} == {name: size for name, size in sizes.items() if size > MAX_FUNCTION}
