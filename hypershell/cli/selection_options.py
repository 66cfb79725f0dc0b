"""From a command line to the tasks that it means, or to those that it submits."""

import os
import shlex
from dataclasses import replace
from typing import Any

from hypershell.cli.options import Parsed
from hypershell.cli.run_option import run_from
from hypershell.core.environment import variables_to_export
from hypershell.core.one_line import one_line
from hypershell.core.query.selection import MAX_IDS, UNFINISHED, Selection
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.core.setting_values import CLIENT_CWD, OWN_VARIABLES
from hypershell.core.state import TaskState
from hypershell.core.submission import SubmitOptions, read_tag
from hypershell.core.task import MAX_GROUPS, MAX_LINE, MAX_PRIORITY, is_task, new_task
from hypershell.core.task_spec import SETTINGS, TaskSpec, spec_of
from hypershell.core.units import read_ids
from hypershell.runtime import clock
from hypershell.runtime.working_directory import working_directory

_ALL_VARIABLES = "all"

STATE_OPTIONS: dict[str, tuple[TaskState, ...]] = {
    "--failed": (TaskState.FAILED,),
    "--succeeded": (TaskState.SUCCEEDED,),
    "--waiting": (TaskState.WAITING,),
    "--running": (TaskState.RUNNING,),
    "--cancelled": (TaskState.CANCELLED,),
    "--remaining": UNFINISHED,
}


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
        run=_run(parsed, bool(ids)),
        cause=parsed.whole("--cause", default=0, lowest=1) if "--cause" in parsed else 0,
    )


def _run(parsed: Parsed, has_ids: bool) -> str:
    """The run whose tasks are meant: of ids, which are looked up in all of them, no single one."""
    named = run_from(parsed, several=True)
    if has_ids:
        return ALL_RUNS if named == ALL_RUNS else ""
    return named or LAST_RUN


def names_no_task(selection: Selection) -> bool:
    """Whether it says nothing but the run."""
    return replace(selection, run="").is_everything()


def ids_from(parsed: Parsed, words: list[str]) -> tuple[int, ...]:
    """Ids, and ranges of ids; UsageError."""
    try:
        return read_ids(words, MAX_IDS)
    except ValueError as error:
        raise parsed.error(str(error), parsed.option_like(words)) from error


def _states(parsed: Parsed) -> tuple[TaskState, ...]:
    given = [name for name in STATE_OPTIONS if name in parsed and parsed.flag(name)]
    found = {state for name in given for state in STATE_OPTIONS[name]}
    return tuple(state for state in TaskState if state in found)


def _tags(parsed: Parsed) -> list[tuple[str, str]]:
    try:
        return [read_tag(tag) for tag in parsed.repeated("--tag")]
    except ValueError as error:
        raise parsed.error(f"--tag: {error}") from error


def spec_from(parsed: Parsed) -> TaskSpec:
    """The settings that options give to tasks; UsageError."""
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.option not in parsed or (last := parsed.text(setting.option)) is None:
            continue
        try:
            for text in parsed.repeated(setting.option) or [last]:
                value = setting.value_of(_absolute(text) if setting.is_path else text)
                before = values.get(setting.name)
                values[setting.name] = value if before is None else setting.under(value, before)
        except ValueError as error:
            raise parsed.error(f"{setting.option} {error}") from None
    if "--export" in parsed and (exported := _exported(parsed)):
        values["env"] = tuple(sorted((exported | dict(values.get("env", ()))).items()))
    try:
        return spec_of(values)
    except ValueError as error:
        raise parsed.error(str(error)) from None


def _exported(parsed: Parsed) -> dict[str, str]:
    """The variables of this process that tasks are to have; UsageError."""
    names = [name for text in parsed.repeated("--export") for name in text.split(",")]
    found = {}
    for name in names:
        if name == _ALL_VARIABLES:
            found.update(variables_to_export(os.environ))
        elif name in os.environ and not name.startswith(OWN_VARIABLES):
            found[name] = os.environ[name]
        else:
            reason = "is set for each task" if name in os.environ else "is not set"
            raise parsed.error(f"--export: the variable {name!r} {reason}")
    return found


def _absolute(path: str) -> str:
    """A directory as `cd` would name it; the word `client` and "" as they are. ValueError."""
    if path in ("", CLIENT_CWD):
        return path
    if not os.path.isabs(path):
        try:
            path = os.path.join(os.fsdecode(working_directory()), path)
        except OSError as error:
            raise ValueError("must be a full path: the working directory is gone") from error
    return os.path.normpath(path)


def submit_options_from(parsed: Parsed, captured: bool = False) -> SubmitOptions:
    """The options of a submission; UsageError."""
    spec = spec_from(parsed)
    submit_options = SubmitOptions(
        tags=dict(_tags(parsed)),
        group=_optional(parsed, "--group", 0, MAX_GROUPS),
        priority=_optional(parsed, "--priority", -MAX_PRIORITY, MAX_PRIORITY),
        spec=replace(spec, capture=True) if captured else spec,
    )
    try:
        submit_options.tasks([], lambda: 0)  # a tag may say the group
    except ValueError as error:
        raise parsed.error(f"--tag: {error}") from error
    return submit_options


def line_from(parsed: Parsed) -> bytes:
    """The command after `--` as one line of shell; UsageError if it cannot be one."""
    words = parsed.words("ARG")
    line = one_line(os.fsencode(words[0] if len(words) == 1 else shlex.join(words)))
    if not is_task(line):
        raise parsed.error(
            "there is no command after --", f"write it as `{parsed.verb} -- COMMAND ...`"
        )
    if len(line) > MAX_LINE:
        raise parsed.error(f"a line is at most {MAX_LINE} bytes")
    try:
        new_task(line, 0, 0)
    except ValueError as error:
        raise parsed.error(str(error)) from None
    return line


def _optional(parsed: Parsed, name: str, lowest: int, highest: int) -> int | None:
    if parsed.text(name) is None:
        return None
    return parsed.whole(name, default=0, lowest=lowest, highest=highest)
