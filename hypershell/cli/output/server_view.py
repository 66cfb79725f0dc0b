"""What `hyper-shell server info` shows."""

from typing import Any

from hypershell.cli.output.rows import write, write_facts, write_records
from hypershell.core.units import counted, shown_time


def show_server(facts: dict[str, Any]) -> None:
    """Print a server, its tasks and its clients, as tables, and the other live ones."""
    runs = facts["runs"]
    if "clients" in facts:
        _show_one(facts)
    if len(runs) > 1:
        write(f"{'' if 'clients' not in facts else chr(10)}{counted(len(runs), 'live run')}\n")
        write_records([_run_row(run) for run in runs])


def _run_row(run: dict[str, Any]) -> dict[str, Any]:
    """One live run as a line of the table."""
    return {
        "run": run["server_uid"],
        "current": "yes" if run["current"] else "no",
        "pid": run["pid"],
        "host": run["host"],
        "started": "-" if run["started"] is None else shown_time(run["started"]),
        "tasks": "-" if run["tasks"] is None else _tasks(run["tasks"]),
    }


def _tasks(numbers: dict[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in numbers.items() if n) or "none yet"


def _show_one(facts: dict[str, Any]) -> None:
    shown = {name: value for name, value in facts.items() if name not in ("clients", "runs")}
    clients = facts["clients"]
    shown["current"] = "yes" if facts["current"] else "no"
    shown["started"] = shown_time(facts["started"])
    shown["tasks"] = _tasks(shown.pop("tasks"))
    write_facts(shown.items())
    write(f"\n{counted(len(clients), 'client')}\n")
    if clients:
        write_records([_row(client) for client in clients])


def _row(client: dict[str, Any]) -> dict[str, Any]:
    """One client as a line of the table."""
    load, memory = client["load"], client["memory_percent"]
    return {
        "id": client["id"],
        "host": client["host"],
        "state": client["state"],
        "slots": client["slots"],
        "running": client["running"],
        "done": client["done"],
        "failed": client["failed"],
        "last heard": f"{client['last_heard']:.1f} s ago",
        "load": "-" if load is None else f"{load:.2f}",
        "memory": "-" if memory is None else f"{memory:.0f} %",
    }
