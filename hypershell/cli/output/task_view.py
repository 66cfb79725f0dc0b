"""What `hyper-shell info` and `hyper-shell failures` show."""

import json
from typing import Any

from hypershell.app.task_api import open_task_api
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import cell, plain, warn, write
from hypershell.cli.selection_options import ids_from, selection_from
from hypershell.core.task_spec import SHOWN
from hypershell.core.units import counted

_LINES = 10
_TASK = (
    "id",
    "state",
    "line",
    "tags",
    "run",
    "number",
    "group",
    "priority",
    *SHOWN,
    "added",
    "attempt",
    "failures",
    "losses",
    "cause",
)
_ATTEMPT = (
    "host",
    "client",
    "slot",
    "pid",
    "started",
    "ended",
    "duration",
    "exit_status",
    "signal",
    "reason",
    "cpu",
    "memory",
)


def info(parsed: Parsed) -> int:
    """One task; the exit status."""
    words = [parsed.text("ID") or ""]
    ids = ids_from(parsed, words)
    if len(ids) != 1:
        raise parsed.error("info tells of one task", "`hyper-shell list` shows several")
    task = open_task_api(parsed).task(ids[0])
    if task is None:
        warn(f"there is no task {ids[0]}")
        return 1
    if parsed.flag("--json"):
        write(json.dumps(plain(task), indent=2) + "\n")
        return 0
    write(_facts(task, _TASK, ""))
    if task["attempts"] and (first := task["attempts"][0]["number"]) > 1:
        write(f"\nattempts before {first} are not shown\n")
    for attempt in task["attempts"]:
        write(f"\nattempt {attempt['number']} ({attempt['ending']})\n")
        write(_facts(attempt, _ATTEMPT, "  "))
        write(_tail("  standard error", attempt["stderr"]))
    if task["output"] is not None:
        out, err = task["output"]
        write(f"\nprinted {len(out)} bytes to standard output, {len(err)} to standard error\n")
    return 0


def _facts(facts: dict[str, Any], names: tuple[str, ...], margin: str) -> str:
    """A name and a value a line; what is not there is not shown."""
    shown = [(name, facts.get(name)) for name in names]
    return "".join(
        f"{margin}{name.replace('_', ' '):<12}  {cell(name, value)}\n"
        for name, value in shown
        if value is not None and value != {}
    )


def _tail(what: str, text: bytes) -> str:
    """The last lines of what was printed."""
    lines = [line for line in text.splitlines() if line.strip()][-_LINES:]
    shown = "".join(f"    {cell('line', line)}\n" for line in lines)
    return f"{what}:\n{shown}" if lines else ""


def failures(parsed: Parsed) -> int:
    """Causes; the exit status."""
    found = open_task_api(parsed).failures(selection_from(parsed))
    if parsed.flag("--json"):
        write(json.dumps(plain(found), indent=2) + "\n")
        return 0
    if not found:
        write("no failed tasks\n")
    for n, each in enumerate(found):
        head, _, printed = each["text"].partition("\n")
        number = counted(each["count"], "task")
        write(("\n" if n else "") + f"cause {each['cause']}: {head}, {number}\n")
        write("".join(f"    {line}\n" for line in printed.splitlines()))
        if each["hosts"]:
            write(f"  hosts    {', '.join(each['hosts'])}\n")
        write(f"  example  task {each['example']}: {cell('line', each['line'])}\n")
        write(_tail("  which printed last", each["stderr"]))
    return 0
