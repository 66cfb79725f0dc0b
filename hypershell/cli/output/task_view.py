"""What `hyper-shell info` and `hyper-shell failures` show."""

from typing import Any

from hypershell.cli.output.rows import cell, facts_text
from hypershell.core.ending import Ending
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

_KILLED = "KILL that nobody sent by hand often means that memory ran out, or a limit on it"
_KILLS = (Ending.SIGNALED.describe(9), Ending.EXITED.describe(137))  # as a shell reports it


def task_text(task: dict[str, Any]) -> str:
    """One task, its attempts, and what a failed attempt last printed."""
    parts = [_facts(task, _TASK, "")]
    if task["attempts"] and (first := task["attempts"][0]["number"]) > 1:
        parts.append(f"\nattempts before {first} are not shown\n")
    for attempt in (*task["attempts"], *_running(task)):
        parts.append(f"\nattempt {attempt['number']} ({attempt['ending']})\n")
        parts.append(_facts(attempt, _ATTEMPT, "  "))
        if attempt.get("signal") == 9 or attempt.get("exit_status") == 137:
            parts.append(f"  {_KILLED}\n")
        parts.append(_tail("  standard error", attempt.get("stderr", b"")))
    if "why" in task:
        parts.append("\nwhy it waits\n" + "".join(f"  {cell('why', w)}\n" for w in task["why"]))
    if task["output"] is not None:
        out, err = task["output"]
        printed = f"{len(out)} bytes to standard output, {len(err)} to standard error"
        parts.append(f"\nprinted {printed}\n")
    return "".join(parts)


def _running(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The attempt that is under way, if one is."""
    if task["state"] != "running":
        return []
    known = {name: task[name] for name in ("host", "client", "slot", "pid", "started")}
    return [known | {"number": task["attempt"], "ending": "running"}]


def _facts(facts: dict[str, Any], names: tuple[str, ...], margin: str) -> str:
    """A name and a value a line; what is not there is not shown."""
    shown = [(name, facts.get(name)) for name in names]
    return facts_text([pair for pair in shown if pair[1] not in (None, {})], margin)


def _tail(what: str, text: bytes) -> str:
    """The last lines of what was printed."""
    lines = [line for line in text.splitlines() if line.strip()][-_LINES:]
    shown = "".join(f"    {cell('line', line)}\n" for line in lines)
    return f"{what}:\n{shown}" if lines else ""


def failures_text(causes: list[dict[str, Any]], *, shows_runs: bool = False) -> str:
    """Causes of failure: how many tasks each has, where, and an example, perhaps with its run."""
    return "\n".join(_cause(cause, shows_runs) for cause in causes) or "no failed tasks\n"


def _cause(cause: dict[str, Any], shows_run: bool) -> str:
    head, _, printed = cause["text"].partition("\n")
    head = cell("cause", head)
    parts = [f"cause {cause['cause']}: {head}, {counted(cause['count'], 'task')}\n"]
    parts += [f"    {cell('line', line)}\n" for line in printed.split("\n") if line]
    if head in _KILLS:
        parts.append(f"    {_KILLED}\n")
    if cause["hosts"]:
        parts.append(f"  hosts    {cell('hosts', ', '.join(cause['hosts']))}\n")
    of_run = f" of run {cause['run']}" if shows_run and cause["run"] else ""
    parts.append(f"  example  task {cause['example']}{of_run}: {cell('line', cause['line'])}\n")
    parts.append(_tail("  which printed last", cause["stderr"]))
    return "".join(parts)
