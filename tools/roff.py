"""Renders man pages in roff (the man macros) from usage texts; knows roff's traps and nothing else.

No dates: a page changes only when its text or the version does.
"""

import re
from collections.abc import Mapping

from hypershell import __version__
from hypershell.cli.completion.usage import PROGRAM, Entry, Option, Section, Usage, Verbatim

MARKED = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w-])(--[A-Za-z][\w-]*|-[A-Za-z](?![\w-]))")
"""What stands out in prose: `code`, **strong**, and options."""

NO_STRETCHING = ".nh", ".ad l"
"""No hyphens that are not part of a name, no stretched spaces."""

PREFORMATTED = (".RS 4", ".nf"), (".fi", ".RE")


def escape(text: str) -> str:
    """Text as roff prints it back, wherever in a line it stands."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    plain = plain.replace("^", "\\(ha").replace("~", "\\(ti").replace("`", "\\(ga")
    return re.sub(r"[^\x00-\x7f]", lambda m: f"\\[u{ord(m[0]):04X}]", plain)


def line(text: str) -> str:
    """A text line; a full stop at its start would make it a request."""
    return "\\&" + text if text[:1] in (".", "'") else text


def prose(text: str) -> str:
    """A paragraph's text with its marked words in bold."""
    parts, end = [], 0
    for found in MARKED.finditer(text):
        parts.append(escape(text[end : found.start()]))
        parts.append(f"\\fB{escape(found[1] or found[2] or found[3])}\\fP")
        end = found.end()
    return line("".join([*parts, escape(text[end:])]))


def preformatted(lines: tuple[str, ...]) -> list[str]:
    """Lines that are neither filled nor joined."""
    before, after = PREFORMATTED
    return [*before, *(line(escape(text)) for text in lines), *after]


def synopsis(forms: tuple[str, ...]) -> list[str]:
    """The forms of a command: fixed words bold, names of values in italics."""
    lines = []
    for form in forms:
        words = re.split(r"([\s()\[\]|]+|\.\.\.)", form)
        fonts = ["I" if w.isupper() or w in ("options",) or w[:1] == "<" else "B" for w in words]
        shown = [
            f"\\f{font}{escape(word)}\\fP" if word[:1].isalnum() or word[:1] in "-<" else word
            for font, word in zip(fonts, words, strict=True)
            if word
        ]
        lines += [".HP", line("".join(shown))]
    return lines


def option(item: Option) -> list[str]:
    """One option with its description."""
    value = f" \\fI{escape(item.metavar)}\\fP" if item.metavar else ""
    names = ", ".join(f"\\fB{escape(name)}\\fP" for name in item.names)
    return [".TP", names + value, prose(item.description) if item.description else "\\&"]


def section(part: Section, heading: str = ".SH") -> list[str]:
    """A section under its own heading."""
    lines: list[str] = []
    if part.is_options:
        title = part.title[: -len("options")].strip()
        lines += [f'.SS "{escape(title)} options"'] if title else []
    elif part.title:
        title = part.title.upper() if heading == ".SH" else part.title
        lines += [f'{heading} "{escape(title)}"']
    for block in part.blocks:
        if isinstance(block, Option):
            lines += option(block)
        elif isinstance(block, Entry):
            lines += [".TP", f"\\fB{escape(block.term)}\\fP", prose(block.meaning)]
        elif isinstance(block, Verbatim):
            lines += [".PP", *preformatted(block.lines)]
        else:
            lines += [".PP", prose(block)]
    return lines


def see_also(names: list[str]) -> list[str]:
    """The section that names other pages of section 1."""
    *most, last = [f".BR {escape(name)} (1)" for name in names]
    return ['.SH "SEE ALSO"', *(f"{name}," for name in most), last]


def command(name: str, usage: Usage) -> list[str]:
    """A section for a command of two words, such as `server stop`."""
    lines = [f'.SH "{escape(name.upper())}"', *synopsis(usage.synopsis)]
    return [*lines, *(ln for part in usage.sections for ln in section(part, ".SS"))]


def page(
    name: str,
    summary: str,
    usage: Usage,
    others: list[str],
    commands: Mapping[str, Usage] | None = None,
) -> str:
    """A whole manual page in section 1.

    `others` are the pages that it names at its end; `commands` get a section each.
    """
    version = escape(f"{PROGRAM} {__version__}")
    lines = [
        '.\\" Made from the texts of the command line itself: do not edit.',
        f'.TH "{escape(name.upper())}" 1 "" "{version}" "{escape(PROGRAM)} manual"',
        *NO_STRETCHING,
        ".SH NAME",
        f"{escape(name)} \\- {escape(summary)}",
        ".SH SYNOPSIS",
        *synopsis(usage.synopsis),
    ]
    described = [part for part in usage.sections if not part.title]
    with_options = [part for part in usage.sections if part.is_options]
    further = [part for part in usage.sections if part.title and not part.is_options]
    if described:
        lines += [".SH DESCRIPTION", *(ln for part in described for ln in section(part))]
    if with_options:
        lines += [".SH OPTIONS", *(ln for part in with_options for ln in section(part))]
    lines += [ln for part in further for ln in section(part)]
    for each, text in (commands or {}).items():
        lines += command(each, text)
    return "\n".join([*lines, *see_also(others)]) + "\n"
