"""The manual names what is there: files, functions, commands and options."""

import ast
import re
from pathlib import Path

import pytest

from tests.contract.test_cli_texts import accepts, commands_of
from tests.helpers import console

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "hypershell"
README = ROOT / "README.rst"
PAGES = [README, *sorted(DOCS.glob("*.rst"))]
INSIDE = [DOCS / name for name in ("architecture.rst", "locks.rst", "glossary.rst")]

PLACE = re.compile(r"``([\w./-]+\.py|[\w./-]+/)(?::([\w.]+))?``")
LINK = re.compile(r"<([\w./-]+\.rst|LICENSE)>`_")


def names_in(path: Path) -> set[str]:
    """What a module defines: functions, classes, constants, and `Class.method` or attribute."""
    return names_of(ast.parse(path.read_text("utf-8")).body, "")


def names_of(body: list[ast.stmt], prefix: str) -> set[str]:
    """The names that these statements define, those of classes with their members."""
    found = set()
    for node in body:
        match node:
            case ast.FunctionDef(name=name):
                found.add(prefix + name)
                if name == "__init__":
                    found |= {
                        prefix + each.attr
                        for each in ast.walk(node)
                        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
                    }
            case ast.ClassDef(name=name, body=inner):
                found |= {prefix + name, *names_of(inner, f"{prefix}{name}.")}
            case ast.Assign(targets=targets):
                found |= {prefix + t.id for t in targets if isinstance(t, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(prefix + name)
            case ast.If(body=inner):
                found |= names_of(inner, prefix)
            case _:
                pass
    return found


def missing_from(text: str) -> list[str]:
    """The places that a text names, ``room/module.py:name``, and that are not there."""
    missing = []
    for found in PLACE.finditer(text):
        place, name = found.groups()
        path = next((base / place for base in (PACKAGE, ROOT) if (base / place).exists()), None)
        if path is None or (name and name not in names_in(path)):
            missing.append(found[0])
    return missing


@pytest.mark.parametrize("page", INSIDE, ids=lambda page: page.stem)
def test_every_place_that_a_page_names_is_there(page):
    """``core/task.py:settle`` on a page is a function of that module, and so on."""
    text = page.read_text("utf-8")

    assert [] == missing_from(text)


def test_a_place_that_is_not_there_is_seen():
    """The search above finds a module, a function and a method that do not exist."""
    text = "``core/nothing.py`` ``core/task.py:nothing`` ``core/task.py:Task.nothing`` ``nothing/``"

    assert 4 == len(missing_from(text))


def test_every_lock_is_on_its_page():
    """Each module that makes a lock, or locks a file, is named with it."""
    text = (DOCS / "locks.rst").read_text("utf-8")
    made = r"threading\.(?:R?Lock|Condition)\(|threads\.(?:r?lock|condition)\("
    locking = re.compile(made + r"|fcntl\.flock\(|advisory_lock")
    makers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "runtime" and locking.search(path.read_text("utf-8"))
    }

    shared = {"server/state/scheduled_queue.py"}
    assert set() == {maker for maker in makers - shared if f"``{maker}" not in text}


def test_the_table_of_places_answers_what_is_asked_most():
    """At least these have a row with a place."""
    text = (DOCS / "architecture.rst").read_text("utf-8")
    table = text[text.index("Where is X?") :]
    asked = [
        "retry rule",
        "exit codes",
        "``-f`` truncation",
        "lease renewal",
        "core count",
        "certificates",
        "access file",
        "SIGHUP",
        "the SQL of lease",
        "grouping of failures",
        "the summary line",
        "error text for a wrong option",
        "the preamble",
        "environment of a task",
    ]

    rows = [line for line in table.splitlines() if PLACE.search(line)]

    assert [] == [what for what in asked if not any(line.startswith(what) for line in rows)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_on_a_page_is_one_that_its_verb_takes(page):
    """Each call of the program in a code block, run by the tests or not, has a known form."""
    lines = [command.text for command in console.commands_of(page)]
    for _, block in console.blocks_of(page, "shell"):
        lines += "\n".join(block).replace("|\n", "|").splitlines()

    for line in lines:
        if "hyper-shell" not in line or line.startswith(("pip", "source", "python3", "#!")):
            continue
        for name, *rest in commands_of(re.sub(r"\d>", ">", line.partition("  #")[0])):
            if name != "--version" and "--surprise" not in rest:
                assert accepts(name, rest), line


def test_the_readme_leads_to_every_page():
    """Its table of contents has each page of the manual, and no page that is not there."""
    linked = set(LINK.findall(README.read_text("utf-8")))
    pages = {f"docs/{page.name}" for page in DOCS.glob("*.rst")}

    assert {"docs/index.rst", "docs/changes.rst"} == pages - linked
    assert [] == [target for target in linked if not (ROOT / target).is_file()]
