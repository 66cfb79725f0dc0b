"""From a command line to the tasks that it means, or to those that it submits."""

import os
import shlex

from hypershell.cli.options import Parsed
from hypershell.core.query.selection import MAX_IDS, UNFINISHED, Selection
from hypershell.core.state import TaskState
from hypershell.core.submission import MAX_RETRIES, SubmitOptions, read_tag
from hypershell.core.task import MAX_GROUPS, MAX_LINE, MAX_PRIORITY, is_task
from hypershell.core.units import read_ids
from hypershell.runtime import clock

_SEPARATOR = "\n"

_STATES: dict[str, tuple[TaskState, ...]] = {
    "--failed": (TaskState.FAILED,),
    "--succeeded": (TaskState.SUCCEEDED,),
    "--waiting": (TaskState.WAITING,),
    "--running": (TaskState.SENT,),
    "--cancelled": (TaskState.CANCELLED,),
    "--remaining": UNFINISHED,
}


def join_tags(arguments: list[str]) -> list[str]:
    """The arguments with all --tag in one, which is how often docopt takes it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept: list[str] = []
    tags: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        name, equals, value = word.partition("=")
        if name != "--tag":
            kept.append(word)
        elif equals:
            tags.append(value)
        elif (following := next(words, None)) is not None:
            tags.append(following)
        else:
            kept.append(word)
    return kept + ([f"--tag={_SEPARATOR.join(tags)}"] if tags else []) + arguments[end:]


def selection_from(parsed: Parsed, ids: list[str] | None = None) -> Selection:
    """The tasks that the options mean, those of `ids` among them; UsageError."""
    where = parsed.text("--where") or ""
    if where:
        from hypershell.core.query.condition import parse as parse_condition

        try:
            # Written out, it means the same wherever it is read: times are absolute.
            where = str(parse_condition(where, clock.wall()))
        except ValueError as error:
            raise parsed.error(f"--where {parsed.text('--where')!r}, {error}") from error
    return Selection(
        ids=ids_from(parsed, ids or []),
        states=_states(parsed),
        tags=tuple(_tags(parsed)),
        where=where,
        run=parsed.text("--from-run") or "",
        cause=parsed.whole("--cause", default=0, lowest=1) if "--cause" in parsed else 0,
    )


def ids_from(parsed: Parsed, words: list[str]) -> tuple[int, ...]:
    """Ids, and ranges of ids; UsageError."""
    try:
        return read_ids(words, MAX_IDS)
    except ValueError as error:
        raise parsed.error(str(error)) from error


def _states(parsed: Parsed) -> tuple[TaskState, ...]:
    given = [name for name in _STATES if name in parsed and parsed.flag(name)]
    found = {state for name in given for state in _STATES[name]}
    return tuple(state for state in TaskState if state in found)


def _tags(parsed: Parsed) -> list[tuple[str, str]]:
    text = parsed.text("--tag")
    if text is None:
        return []
    try:
        return [read_tag(tag) for tag in text.split(_SEPARATOR)]
    except ValueError as error:
        raise parsed.error(f"--tag: {error}") from error


def submit_options_from(parsed: Parsed, captured: bool = False) -> SubmitOptions:
    """The terms of a submission; UsageError."""
    submit_options = SubmitOptions(
        tags=dict(_tags(parsed)),
        group=_optional(parsed, "--group", 0, MAX_GROUPS),
        priority=_optional(parsed, "--priority", -MAX_PRIORITY, MAX_PRIORITY),
        max_retries=_optional(parsed, "--max-retries", 0, MAX_RETRIES),
        captured=captured,
    )
    try:
        submit_options.tasks([], lambda: 0)  # a tag may say the group
    except ValueError as error:
        raise parsed.error(f"--tag: {error}") from error
    return submit_options


def line_from(parsed: Parsed) -> bytes:
    """The command after `--` as one line of shell; UsageError if it cannot be one."""
    words = parsed.words("ARG")
    line = os.fsencode(words[0] if len(words) == 1 else shlex.join(words))
    if not is_task(line):
        raise parsed.error(
            "there is no command after --", f"write it as `{parsed.verb} -- COMMAND ...`"
        )
    if b"\n" in line:
        raise parsed.error("a task is one line, and this has several", "separate them with ;")
    if len(line) > MAX_LINE:
        raise parsed.error(f"a line is at most {MAX_LINE} bytes")
    return line


def _optional(parsed: Parsed, name: str, lowest: int, highest: int) -> int | None:
    if parsed.text(name) is None:
        return None
    return parsed.whole(name, default=0, lowest=lowest, highest=highest)
