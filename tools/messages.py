"""Prints every message that a user can see, by file, for reading through from top to bottom.

`python -m tools.messages [PATH...]` finds them in the source: help texts by paragraph, what error
classes say and advise, what is logged, printed or raised. What is filled in stands in braces.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

LOG_CALLS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
PRINT_CALLS = {"print", "write", "warn", "getpass"}
TEXT_NAMES = ("USAGE", "_TEXT", "_OPTIONS", "_STOP", "_INFO", "_WAIT", "_GENERATE_ACCESS")
FACTS = {"says": "error", "hint": "hint", "what": "error", "reason": "error"}
"""Names whose value is shown as it is given, and what it is."""

PROSE = re.compile(r"[A-Za-z`]+ [A-Za-z`{%]|[a-z%}] [a-z]")
NOT_PROSE = re.compile(r"^#|^\s*(?:[A-Z]{4,} |CASE|[(]?SELECT|\(\?|complete )|\\[bdsS]|\(\?[:P<!]")
"""SQL, regular expressions and shell are not for reading."""


class Message(NamedTuple):
    """One text, the line it stands in and how the user meets it."""

    line: int
    kind: str
    text: str


def messages(source: str) -> list[Message]:
    """The messages in the source of one module, in order."""
    finder = _Finder()
    finder.visit(ast.parse(source))
    return sorted(finder.found.values(), key=lambda message: message.line)


class _Finder(ast.NodeVisitor):
    """Collects strings by the statement or call that shows them; the outermost decides the kind."""

    def __init__(self) -> None:
        self.found: dict[str, Message] = {}

    def visit_Module(self, node: ast.Module) -> None:
        self._visit_body(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any("says" in _assigned(part) for part in node.body):
            self._keep(node.lineno, "error class", (ast.get_docstring(node) or "").splitlines()[0])
        self._visit_body(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_assignment(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_assignment(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # the docstring of a variable
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add("error", node.exc)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in LOG_CALLS and isinstance(node.func, ast.Attribute):
            on_log = "log" in ast.unparse(node.func.value).lower()
            self._add("log" if on_log else "error", node)
        elif name in PRINT_CALLS:
            self._add("output", node)
        else:
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._add("text", node)

    def visit_Constant(self, node: ast.Constant) -> None:
        self._add("text", node)

    def _visit_body(self, node: ast.Module | ast.FunctionDef | ast.ClassDef) -> None:
        for part in node.body:
            self.visit(part)

    def _visit_assignment(self, node: ast.Assign | ast.AnnAssign) -> None:
        names = _assigned(node)
        if any(name.endswith(TEXT_NAMES) for name in names):
            for text in _texts(node.value):
                for part in text.split("\n\n"):
                    self._keep(node.lineno, "help", part.strip("\n"))
        elif set(names) & set(FACTS):
            self._add(FACTS[names[0]], node.value)
        elif node.value is not None:
            self.visit(node.value)

    def _add(self, kind: str, node: ast.AST | None) -> None:
        for text in _texts(node):
            if PROSE.search(text) and not NOT_PROSE.search(text):
                self._keep(getattr(node, "lineno", 0), kind, text.strip("\n"))

    def _keep(self, line: int, kind: str, text: str) -> None:
        self.found.setdefault(text, Message(line, kind, text))


def _assigned(node: ast.AST) -> list[str]:
    """The names that a statement assigns to."""
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _texts(node: ast.AST | None) -> Iterator[str]:
    """The strings below a node, with what is filled in between braces."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            f"{{{ast.unparse(part.value)}}}"
            if isinstance(part, ast.FormattedValue)
            else str(getattr(part, "value", ""))
            for part in node.values
        )
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _texts(part.value)
    elif node is not None:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def listing(paths: list[Path]) -> Iterator[str]:
    """The lines of the list."""
    for path in paths:
        found = messages(path.read_text("utf-8"))
        if found:
            yield f"\n{path.relative_to(ROOT)}\n"
        for line, kind, text in found:
            yield f"  {line:4} {kind:<11} " + text.replace("\n", "\n" + 19 * " ")


def main(arguments: list[str]) -> int:
    """Print the messages of the given files, or of the whole program."""
    paths = [Path(word).resolve() for word in arguments]
    paths = paths or sorted((ROOT / "hypershell").rglob("*.py"))
    print("\n".join(listing(paths)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
