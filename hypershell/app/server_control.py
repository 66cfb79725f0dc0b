"""Asks a server about itself, stops it, and waits until one answers."""

import os
import select
from dataclasses import replace
from typing import Any

from hypershell.access.errors import RunsAmbiguous
from hypershell.access.keys import CLIENT
from hypershell.app.locate import ServerLocation, connect
from hypershell.core.errors import HyperShellError, NoServer, ServerUnreachable
from hypershell.runtime import clock
from hypershell.runtime.backoff import Backoff
from hypershell.serverdir.holder import this_host
from hypershell.serverdir.homes import MAIN, LiveRun
from hypershell.wire.codec import WireError

_BROKEN = (EOFError, OSError, WireError)
"""What a call raises when the server ends under it."""

_END_SECONDS = 60.0
_FIRST_PAUSE, _MAX_PAUSE = 0.05, 1.0
_RUN_FACTS = ("server_uid", "current", "pid", "host", "started", "tasks")


def stop_server(location: ServerLocation, *, drain: bool) -> None:
    """End the server, and return when it is gone; NoServer, Refused.

    With `drain`, the tasks that run are finished first.
    """
    proxy = connect(location, "hyper-shell server stop")
    gone = None
    try:
        gone = _watch_process(proxy.info())
        proxy.stop(drain)
        proxy.wait_until_gone()
    except _BROKEN:
        pass  # it was ending already, and hung up
    if gone is not None:
        select.select([gone], [], [], _END_SECONDS)
        os.close(gone)


def _watch_process(facts: dict[str, Any]) -> int | None:
    """A descriptor that is readable when the server's process has ended, if it is one of ours."""
    pid = facts.get("pid")
    if facts.get("host") != this_host() or not isinstance(pid, int):
        return None
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def server_facts(location: ServerLocation) -> dict[str, Any]:
    """What the server says of itself, its tasks and its clients, and all live `runs`; NoServer,
    Refused.

    Of several live ones of which none is the current one, there are only the `runs`.
    """
    try:
        facts = _facts(location)
    except RunsAmbiguous:
        facts = {}
    directory = location.directory()
    own = {name: facts[name] for name in _RUN_FACTS if name in facts}
    runs = [
        own if each.holder.server_uid == facts.get("server_uid") else _live_facts(each, location)
        for each in ([] if directory is None else directory.live_runs())
    ]
    return facts | {"runs": runs or [own]}  # there are none where it is not a server's directory


def _live_facts(live: LiveRun, location: ServerLocation) -> dict[str, Any]:
    """One of the live runs: what its server says, or what its owner record does."""
    holder, record = live.holder, live.record
    facts: dict[str, Any] = {
        "server_uid": holder.server_uid,
        "current": live.home == MAIN,
        "pid": holder.pid,
        "host": holder.host,
        "started": None if record is None else record.started,
        "tasks": None,
    }
    try:
        facts["tasks"] = _ask(replace(location, run=holder.server_uid))["tasks"]
    except (HyperShellError, *_BROKEN):
        pass  # it is starting or ending, or does not answer
    return facts


def _facts(location: ServerLocation) -> dict[str, Any]:
    try:
        return _ask(location)
    except _BROKEN as error:
        where = location.endpoint(CLIENT, "hyper-shell server info")
        raise location.explain(
            ServerUnreachable(host=where.host, port=where.port, reason="it has just ended")
        ) from error


def _ask(location: ServerLocation) -> dict[str, Any]:
    return connect(location, "hyper-shell server info").info()


def wait_for_server(location: ServerLocation, seconds: float) -> None:
    """Return as soon as a server answers; NoServer, in the words that fit, if none does in time."""
    deadline = clock.monotonic() + seconds
    backoff = Backoff(_FIRST_PAUSE, _MAX_PAUSE, 1.5)
    while True:
        try:
            connect(location, "hyper-shell server wait", deadline - clock.monotonic()).info()
            return
        except (NoServer, *_BROKEN):
            pause = backoff.pause()
            if clock.monotonic() + pause > deadline:
                raise
        clock.sleep(pause)  # nothing tells when a file appears on another machine's disk
