"""Each rule by which simulated worlds are judged is a promise of the manual, and the reverse."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^   \* - (.+)$", re.MULTILINE)
TEST = re.compile(r"``((?:fault|integration|property|unit)/[\w/]+)``")
PROMISES = (ROOT / "docs" / "promises.rst").read_text()


def rules():
    """The names that `Broken` is raised with."""
    for path in (ROOT / "tests" / "sim").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Broken":
                assert isinstance(node.args[0], ast.Constant), path
                yield node.args[0].value


def test_each_rule_is_a_promise():
    """By the same words."""
    promised = {row.replace("``", "").lower() for row in ROW.findall(PROMISES)} - {"promise"}

    assert promised == set(map(str.lower, rules()))


def test_the_tests_of_each_promise_exist():
    """As files or directories."""
    named = TEST.findall(PROMISES)

    missing = [name for name in named if not list((ROOT / "tests").glob(f"{name}*"))]

    assert named
    assert [] == missing
