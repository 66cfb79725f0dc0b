"""A client that has joined: its threads, put together of what it is given, and run to their end.

What it is given is the system: the processes of tasks, the watch over them, where output goes. A
simulation gives others.
"""

import functools
import logging
import os
from collections.abc import Callable
from typing import NamedTuple

from hypershell.client.begun_table import BegunTable
from hypershell.client.client import Client
from hypershell.client.events import BufferDrained, ClientEvent, LoopFailed, TasksUsedUp
from hypershell.client.fetcher import Fetcher
from hypershell.client.joining import WasThere
from hypershell.client.launcher_channel import LauncherChannel
from hypershell.client.options import ClientOptions
from hypershell.client.returner import Returner
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.server_link import ServerLink
from hypershell.client.session import Session
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.executor import Executor
from hypershell.client.tasks.grants import Grants
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.processes import Processes
from hypershell.client.tasks.watch import Watch
from hypershell.core.errors import HyperShellError
from hypershell.core.unwritten import Unwritten
from hypershell.runtime.loop import Loop
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_messages import Hello, Welcome

log = logging.getLogger(__name__)


class Joined(NamedTuple):
    """What a client has when it has joined.

    `rename` gives the tasks that are started from then on another client id.
    """

    options: ClientOptions
    inbox: Inbox[ClientEvent]
    link: ServerLink
    pipe: SupervisorPipe
    begun: BegunTable
    launcher: LauncherChannel
    orders: Orders
    processes: Processes
    watch: Watch
    output: Output
    rename: Callable[[str], None]
    was_there: WasThere


def run_joined(parts: Joined, hello: Hello, welcome: Welcome) -> int:
    """Run tasks until the end, and leave; the exit status. Raises HyperShellError."""
    options, inbox, link, pipe, begun, launcher = parts[:6]
    orders, processes, watch, output, rename, was_there = parts[6:]

    def drained(all_accepted: bool) -> None:
        inbox.put(BufferDrained(all_accepted))

    works_until = options.works_until(welcome.grace_seconds)
    used_up = options.max_tasks, lambda: inbox.put(TasksUsedUp())
    offered = options.offer, works_until, used_up
    buffer = TaskBuffer(options.slots, watch.wake, drained, begun, *offered)
    executor = Executor(
        *(options.most_tasks, buffer, orders, processes, output, watch, welcome.grace_seconds),
        grants=grants_of(options),
    )
    tasks = RunningTasks(orders, buffer, processes, pipe)
    session = Session(hello, welcome, link, buffer, tasks, pipe, rename, inbox.put)
    fetcher = Fetcher(link, session)
    returner = Returner(link, session, buffer, lambda: output.unwritten)
    client = Client(
        *(inbox, session, link, buffer, tasks, pipe),
        *(options.idle_timeout, launcher, options.wait, was_there, works_until),
    )
    failed = functools.partial(_loop_failed, inbox)
    executing = Loop("executor", executor.one_pass, failed, watch.wake)
    fetching = Loop("fetcher", fetcher.one_pass, failed)
    returning = Loop("returner", returner.one_pass, failed, buffer.wake)
    return _work(client, executing, [fetching, returning], link, output)


def grants_of(options: ClientOptions) -> Grants:
    """What tasks with needs are given of this machine."""
    ids, variables = options.gpus
    cpus = os.sched_getaffinity(0) if options.pins and hasattr(os, "sched_getaffinity") else ()
    return Grants(ids, variables, sorted(cpus)[: options.offer.cores])


def _work(
    client: Client, executing: Loop, others: list[Loop], link: ServerLink, output: Output
) -> int:
    """Have the loops run until the client has a reason to end; the exit status."""
    loops = [executing, *others]
    for loop in loops:
        loop.start()
    unwritten: Unwritten | None = None
    try:
        status = client.wait_for_end()
    finally:
        for loop in loops:
            loop.stop()
        link.close()
        # While it passes on what a task printed, the executor still needs the pipes.
        if executing.join(1.0):
            unwritten = _finish_output(output, link)
            output.close()
    return status or (0 if unwritten is None else 1)


def _finish_output(output: Output, link: ServerLink) -> Unwritten | None:
    """Write what is left of the output; what could not be written, having told the server."""
    unwritten = output.finish_writing()
    if output.has_ever_failed:
        link.tell_last(unwritten or Unwritten(0, 0, "", is_final=True))
    if unwritten is not None:
        log.error("output of tasks was lost: %s", unwritten.text)
    return unwritten


def _loop_failed(inbox: Inbox[ClientEvent], name: str, error: Exception) -> None:
    if not isinstance(error, HyperShellError):
        log.critical("the %s failed: %r", name, error, exc_info=error)
    inbox.put(LoopFailed(name, error))
