"""Renders pages of the manual's reference in reStructuredText from usage texts."""

import re
from collections.abc import Iterator, Mapping

from hypershell.cli.completion.usage import Entry, Option, Section, Usage, Verbatim

MARKED = re.compile(r"`([^`]+)`|(?<![\w-])(--[A-Za-z][\w-]*|-[A-Za-z](?![\w-]))")
"""What is shown as code in prose: `code`, and options."""

SPECIAL = re.compile(r"[\\*`|]|_(?!\w)")

MADE = ".. Made from the texts of the command line itself: do not edit."


def escape(text: str) -> str:
    """Text that reStructuredText shows as it stands."""
    return SPECIAL.sub(lambda found: "\\" + found[0], text)


def prose(text: str) -> str:
    """A paragraph with its marked words as code."""
    parts, end = [], 0
    for found in MARKED.finditer(text):
        parts.append(escape(text[end : found.start()]))
        parts.append(f"``{found[1] or found[2]}``")
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def heading(title: str, line: str) -> list[str]:
    """A title with a line of this character below it."""
    return [title, line * len(title), ""]


def indented(lines: list[str] | tuple[str, ...]) -> list[str]:
    """Lines in the body of a directive."""
    return [f"   {line}".rstrip() for line in lines]


def block(item: str | Verbatim | Entry | Option) -> list[str]:
    """One block of a section, with an empty line after it."""
    if isinstance(item, Option):
        names = ", ".join(f"{name} {item.metavar}".strip() for name in item.names)
        return [f".. option:: {names}", "", *indented([prose(item.description)]), ""]
    if isinstance(item, Entry):
        return [f"``{item.term}``", *indented([prose(item.meaning)]), ""]
    if isinstance(item, Verbatim):
        shell = "console" if item.lines[0].startswith("$ ") else "none"
        return [f".. code-block:: {shell}", "", *indented(item.lines), ""]
    return [prose(item), ""]


def section(part: Section, line: str = "-") -> Iterator[str]:
    """A section under its own heading, underlined with this character."""
    if part.title:
        yield from heading(part.title, line)
    for item in part.blocks:
        yield from block(item)


def body(name: str, usage: Usage, line: str) -> Iterator[str]:
    """The synopsis and the sections of one command."""
    yield from (f".. program:: {name}", "", ".. code-block:: none", "")
    yield from (*indented(usage.synopsis), "")
    for part in usage.sections:
        yield from section(part, line)


def page(name: str, summary: str, usage: Usage, commands: Mapping[str, Usage] | None = None) -> str:
    """The page of one command, and of those `commands` that have two words."""
    lines = [MADE, "", *heading(name, "="), summary, "", *body(name, usage, "-")]
    for command, its_usage in (commands or {}).items():
        lines += [*heading(command, "-"), *body(command, its_usage, "~")]
    return "\n".join(lines).rstrip("\n") + "\n"
