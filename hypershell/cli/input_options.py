"""From a command line to what a run or a submission reads, and the commands it makes of that."""

import os
import shlex
from collections.abc import Iterator

from hypershell.cli.options import Parsed
from hypershell.core.template import Template
from hypershell.core.text import text_of
from hypershell.server.input.forms import LINES, Form
from hypershell.server.input.lines import STDIN
from hypershell.server.input.sources import ArgumentList, InputSource, form_of, read_array

_LISTS = {
    ":::": ArgumentList((), are_files=False, is_linked=False),
    ":::+": ArgumentList((), are_files=False, is_linked=True),
    "::::": ArgumentList((), are_files=True, is_linked=False),
    "::::+": ArgumentList((), are_files=True, is_linked=True),
}


def named_inputs(parsed: Parsed, file_option: str = "FILE") -> list[str]:
    """What names an input, as it was given: FILE, options, separators."""
    found = [file_option] if _files(parsed, file_option) else []
    found += [name for name in ("--arg-file", "--array", "--from-json") if parsed.repeated(name)]
    found += [part.separator for part in parsed.separated() if part.separator in _LISTS]
    return list(dict.fromkeys(found))


def input_from(parsed: Parsed, file_option: str = "FILE") -> InputSource:
    """What is read, standard input if nothing is named; UsageError."""
    named = named_inputs(parsed, file_option)
    first_of = {_kind(name): name for name in reversed(named)}
    if len(first_of) > 1:
        first, second = sorted(first_of.values(), key=named.index)[:2]
        hint = "-a FILE is combined with :::" if file_option in (first, second) else ""
        raise parsed.error(f"{first} and {second} cannot be used together", hint)
    form = _form_from(parsed)
    source = InputSource(
        files=tuple(_files(parsed, file_option)),
        lists=tuple(_lists(parsed)),
        array=_array_from(parsed),
        json=parsed.text("--from-json"),
        form=form,
        template=_template_from(parsed, bool(named)),
        keeps_cr=parsed.flag("--keep-cr"),
    )
    if source.template is None and form not in (LINES, Form(form.values, b"\0")):
        raise parsed.error("--csv, --colsep and --header need a --template for the values")
    if form is not LINES and (source.array or source.json is not None):
        raise parsed.error(
            f"{named[0]} has a form of its own, without -0, --colsep, --csv, --header"
        )
    if source.template is None and len(source.columns) > 1:
        raise parsed.error("several lists of values need a --template")
    _check_lists(parsed, source)
    return source


def _kind(name: str) -> str:
    return "lists" if name in (*_LISTS, "--arg-file") else name


def _files(parsed: Parsed, file_option: str) -> list[str]:
    if file_option == "FILE":
        return parsed.words("FILE")
    path = parsed.text(file_option)
    return [] if path is None else [path]


def _lists(parsed: Parsed) -> Iterator[ArgumentList]:
    for path in parsed.repeated("--arg-file"):
        yield ArgumentList((path,), are_files=True)
    for separator, words in parsed.separated():
        if separator in _LISTS:
            yield _LISTS[separator]._replace(words=words)


def _check_lists(parsed: Parsed, source: InputSource) -> None:
    if source.lists and source.lists[0].is_linked:
        raise parsed.error("a linked list needs one before it that it is linked with")
    empty = [each for each in source.lists if each.are_files and not each.words]
    if empty:
        raise parsed.error("`::::` needs the name of a file after it")
    named = [word for each in source.lists if each.are_files for word in each.words]
    if [*named, *source.files].count(STDIN) > 1:
        raise parsed.error("standard input can be read only once")


def _form_from(parsed: Parsed) -> Form:
    colsep = parsed.text("--colsep")
    null, is_csv, has_header = (parsed.flag(name) for name in ("--null", "--csv", "--header"))
    if is_csv and (null or colsep is not None):
        other = "--null" if null else "--colsep"
        raise parsed.error(f"--csv and {other} cannot be used together")
    if not (null or is_csv or has_header or colsep is not None):
        return LINES
    try:
        return form_of(null, colsep, is_csv, has_header)
    except ValueError as error:
        raise parsed.error(f"--colsep {colsep!r} {error}") from None


def _array_from(parsed: Parsed) -> tuple[range, ...]:
    text = parsed.text("--array")
    try:
        return () if text is None else read_array(text)
    except ValueError as error:
        raise parsed.error(f"--array {text!r}: {error}") from None


def _template_from(parsed: Parsed, has_input: bool) -> str | None:
    """The template, by its option or after `--`; UsageError."""
    text = parsed.text("--template")
    words = _template_words(parsed)
    quotes = "--quote" in parsed and parsed.flag("--quote")
    if words is None and quotes:
        raise parsed.error("--quote is for the words after `--`")
    if text is not None and words is not None:
        raise parsed.error("--template and words after `--` cannot be used together")
    if words is not None:
        if not words:
            raise parsed.error("there is no command after --")
        if not has_input and len(words) == 1 and os.path.isfile(words[0]):
            hint = f"to run the lines of {words[0]}, omit the `--`"
            raise parsed.error(f"{words[0]} is a file, and no command", hint)
        text = shlex.join(words) if quotes else " ".join(words)
    if text is None:
        return None
    if not text.strip():
        raise parsed.error("the template is empty")
    if not parsed.flag("--header"):
        try:
            Template(text_of(os.fsencode(text)))
        except ValueError as error:
            raise parsed.error(f"the template cannot be used: {error}") from None
    return text_of(os.fsencode(text))


def _template_words(parsed: Parsed) -> list[str] | None:
    """The words after `--`, where these are a template; None if there is no `--`."""
    for separator, words in parsed.separated():
        if separator == "--" and parsed.verb.partition(" ")[0] in ("cluster", "server"):
            return list(words)
    return None
