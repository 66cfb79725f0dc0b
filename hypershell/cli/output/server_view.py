"""What `hyper-shell server info` shows."""

import time
from typing import Any

from tabulate import tabulate


def server_text(facts: dict[str, Any]) -> str:
    """A server, its tasks and its clients, as tables."""
    shown = {name: value for name, value in facts.items() if name != "clients"}
    clients = facts["clients"]
    shown["started"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["started"]))
    tasks = [f"{number} {state}" for state, number in shown.pop("tasks").items() if number]
    shown["tasks"] = ", ".join(tasks) or "none yet"
    text = tabulate([(name.replace("_", " "), value) for name, value in shown.items()])
    text += f"\n\n{len(clients)} client{'s' if len(clients) != 1 else ''}\n"
    if clients:
        text += tabulate([_row(client) for client in clients], headers="keys") + "\n"
    return text


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
