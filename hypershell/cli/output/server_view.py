"""What `hyper-shell server info` shows."""

import time
from typing import Any

from hypershell.cli.output.rows import write, write_facts, write_records
from hypershell.core.units import counted


def show_server(facts: dict[str, Any]) -> None:
    """Print a server, its tasks and its clients, as tables."""
    shown = {name: value for name, value in facts.items() if name != "clients"}
    clients = facts["clients"]
    shown["started"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["started"]))
    tasks = [f"{number} {state}" for state, number in shown.pop("tasks").items() if number]
    shown["tasks"] = ", ".join(tasks) or "none yet"
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
        "slots": client["slots"],
        "running": client["running"],
        "done": client["done"],
        "failed": client["failed"],
        "last heard": f"{client['last_heard']:.1f} s ago",
        "load": "-" if load is None else f"{load:.2f}",
        "memory": "-" if memory is None else f"{memory:.0f} %",
    }
