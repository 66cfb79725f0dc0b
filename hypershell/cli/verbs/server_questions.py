"""`hyper-shell server stop | info | wait | generate-access`."""

import json
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypershell.access.access_file import write_together
from hypershell.access.endpoints import generate
from hypershell.access.keyring import keyring
from hypershell.access.keys import CLIENT, WORKER
from hypershell.app.locate import connect, place_from
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import write, write_facts, write_records
from hypershell.core.errors import NoServer, ServerUnreachable
from hypershell.core.units import counted
from hypershell.serverdir.holder import this_host
from hypershell.wire.codec import WireError

_BROKEN = (EOFError, OSError, WireError)
"""What a call raises when the server ends under it."""

_WAIT_SECONDS = 60.0
_FIRST_PAUSE, _MAX_PAUSE = 0.05, 1.0


def stop(parsed: Parsed) -> int:
    """End the server, and return when it is gone."""
    proxy = connect(place_from(parsed), "hyper-shell server stop")
    gone = None
    try:
        gone = _watch_process(proxy.info())
        proxy.stop(parsed.flag("--drain"))
        proxy.wait_until_gone()
    except _BROKEN:
        pass  # it was ending already, and hung up
    if gone is not None:
        select.select([gone], [], [], _WAIT_SECONDS)
        os.close(gone)
    return 0


def _watch_process(facts: dict[str, Any]) -> int | None:
    """A descriptor that is readable when the server's process has ended, if it is one of ours."""
    pid = facts.get("pid")
    if facts.get("host") != this_host() or not isinstance(pid, int):
        return None
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def info(parsed: Parsed) -> int:
    """Show the server, its tasks and its clients."""
    place = place_from(parsed)
    try:
        facts = connect(place, "hyper-shell server info").info()
    except _BROKEN as error:
        where = place.endpoint(CLIENT, "hyper-shell server info")[0]
        raise place.why(
            ServerUnreachable(host=where.host, port=where.port, reason="it ended meanwhile")
        ) from error
    if parsed.flag("--json"):
        print(json.dumps(facts, indent=2))
        return 0
    tasks, clients = facts.pop("tasks"), facts.pop("clients")
    facts["started"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["started"]))
    facts["tasks"] = ", ".join(f"{number} {state}" for state, number in tasks.items() if number)
    facts["tasks"] = facts["tasks"] or "none yet"
    write_facts(facts.items())
    write(f"\n{counted(len(clients), 'client')}\n")
    if clients:
        write_records([_row(client) for client in clients])
    return 0


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


def wait(parsed: Parsed) -> int:
    """Return as soon as a server answers; NoServer, in the words that fit, if none does."""
    place = place_from(parsed)
    deadline = time.monotonic() + parsed.seconds("--timeout", default=_WAIT_SECONDS)
    pause = _FIRST_PAUSE
    while True:
        try:
            connect(place, "hyper-shell server wait").info()
            return 0
        except (NoServer, *_BROKEN):
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)  # nothing tells when a file appears on another machine's disk
        pause = min(1.5 * pause, _MAX_PAUSE)


def generate_access(parsed: Parsed) -> int:
    """Make an access file, and its parts, for a server that is to come."""
    ports = {
        WORKER: parsed.whole("--port", "--worker-port", default=0, lowest=1, highest=65535),
        CLIENT: parsed.whole("--client-port", default=0, lowest=1, highest=65535),
    }
    if not all(ports.values()):
        raise parsed.error("generate-access needs both --worker-port and --client-port")
    if ports[WORKER] == ports[CLIENT]:
        raise parsed.error(f"both ports are {ports[WORKER]}")
    hosts = {}
    for plane in (WORKER, CLIENT):
        given = [parsed.text(f"--{plane}-host"), parsed.text("--host"), "localhost"]
        hosts[plane] = next(host for host in given if host is not None)
    access = generate((hosts[WORKER], ports[WORKER]), (hosts[CLIENT], ports[CLIENT]))
    seal = keyring(parsed.text("--passphrase-file"), os.environ).new_seal()
    files = [(Path(parsed.text("FILE") or ""), access)]
    for plane in (CLIENT, WORKER):
        if (part := parsed.text(f"--{plane}-file")) is not None:
            files.append((Path(part), access.only(plane)))
    write_together(files, seal)
    return 0


ASK: dict[str, Callable[[Parsed], int]] = {
    "stop": stop,
    "info": info,
    "wait": wait,
    "generate-access": generate_access,
}
"""What each word after `server` does, but for `start`."""
