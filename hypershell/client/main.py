"""Builds a client from its options, in the process in which it is to run, and runs it."""

import functools
import logging
import os
import signal
import socket

from hypershell.client.begun_table import BegunTable
from hypershell.client.client import Client
from hypershell.client.descriptors import take_descriptors
from hypershell.client.events import (
    BufferDrained,
    ClientEvent,
    LoopFailed,
    PauseAsked,
    SignalCame,
)
from hypershell.client.fetcher import Fetcher
from hypershell.client.joining import RunOver, SignalledEarly, join
from hypershell.client.launcher_channel import LauncherChannel
from hypershell.client.options import ClientOptions
from hypershell.client.outputs import Outputs, open_outputs
from hypershell.client.returner import Returner
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.server_link import BROKEN, Find, ServerLink, WasThere, greeting, never_there
from hypershell.client.session import Session
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.executor import Executor
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.processes import SystemProcesses
from hypershell.client.tasks.spawn import Spawner, check_shell
from hypershell.client.tasks.watch import Watch, best_watch
from hypershell.core.errors import HyperShellError
from hypershell.core.unwritten import Unwritten
from hypershell.runtime.loop import Loop
from hypershell.runtime.signals import hand_over_signals, hand_over_stops, wait_for_signals
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_plane import WorkerProxy

log = logging.getLogger(__name__)


def run_client(
    options: ClientOptions,
    find: Find,
    supervisor_pipe: int,
    begun: BegunTable,
    control: int | None = None,
    was_there: WasThere = never_there,
) -> int:
    """Run a client to its end; `supervisor_pipe` and `begun` are what its supervisor reads.

    `control` is the descriptor of its launcher's channel, if it has one.

    Blocks; returns the exit status. Raises HyperShellError.
    """
    inbox: Inbox[ClientEvent] = Inbox()
    watch = best_watch()
    hand_over_signals(lambda number: inbox.put(SignalCame(number)))
    if watch.needs_sigchld:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what is ignored is not waited for
        wait_for_signals({signal.SIGCHLD}, lambda _: watch.wake())
    else:
        # As the executor blocks it, the kernel would wake this thread for it, if only to drop it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    launcher = LauncherChannel(control)
    if launcher.exists:
        launcher.listen(inbox.put)  # which alone says when to pause
    else:
        hand_over_stops(lambda: inbox.put(PauseAsked(by_launcher=False)))
    link = ServerLink(find, was_there)
    pipe = SupervisorPipe(supervisor_pipe)
    return _run(options, link, pipe, begun, inbox, watch, launcher)


def _run(
    options: ClientOptions,
    link: ServerLink,
    pipe: SupervisorPipe,
    begun: BegunTable,
    inbox: Inbox[ClientEvent],
    watch: Watch,
    launcher: LauncherChannel,
) -> int:
    """Join, run tasks until the end, leave; the exit status."""
    outputs = _prepare(options)
    host = socket.gethostname()
    hello = greeting(host, options.slots)
    try:
        welcome = join(link, hello, inbox, options.wait, options.delay_start)
    except SignalledEarly as early:
        return 128 + early.number
    except RunOver:
        log.info("the server has ended: it has no more tasks")
        return 0
    pipe.joined(welcome, link.heard_at)

    spawner = Spawner(options.shell, welcome.client_id, host)
    processes = SystemProcesses(spawner, supervisor=os.getppid())
    orders = Orders(watch.wake)
    buffer = TaskBuffer(
        options.slots, watch.wake, lambda all_: inbox.put(BufferDrained(all_)), begun
    )
    output = Output(outputs.out, outputs.err, options.slots, orders.stopping, outputs.locks)
    executor = Executor(
        options.slots, buffer, orders, processes, output, watch, welcome.grace_seconds
    )
    tasks = RunningTasks(orders, buffer, processes, pipe)
    session = Session(hello, welcome, link, buffer, tasks, pipe, spawner.rename, inbox.put)
    fetcher = Fetcher(link, session)
    returner = Returner(link, session, buffer, lambda: output.unwritten)
    client = Client(
        inbox, session, link, buffer, tasks, pipe, options.idle_timeout, launcher, options.wait
    )

    failed = functools.partial(_loop_failed, inbox)
    executing = Loop("executor", executor.one_pass, failed, watch.wake)
    fetching = Loop("fetcher", fetcher.one_pass, failed)
    returning = Loop("returner", returner.one_pass, failed, buffer.wake)
    for loop in (executing, fetching, returning):
        loop.start()
    unwritten: Unwritten | None = None
    try:
        status = client.wait_for_end()
    finally:
        for loop in (executing, fetching, returning):
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


def _prepare(options: ClientOptions) -> Outputs:
    """See that tasks can be run at all; where their output goes."""
    check_shell(options.shell)
    outputs = open_outputs(options, os.environ)
    take_descriptors(options.slots)
    return outputs


def _loop_failed(inbox: Inbox[ClientEvent], name: str, error: Exception) -> None:
    if not isinstance(error, HyperShellError):
        log.critical("the %s failed: %r", name, error, exc_info=error)
    inbox.put(LoopFailed(name, error))


def take_leave(find: Find, client_id: str, reason: str, begun: BegunTable) -> None:
    """Tell the server that a client is dead, so that its tasks need not wait for its lease.

    What it had not begun is given back.
    """
    log.warning("the client died (%s); its tasks were killed", reason)
    try:
        WorkerProxy(*find()).leave(client_id, f"it died ({reason})", True, *begun.read())
    except (HyperShellError, *BROKEN) as error:
        log.debug("could not tell the server that the client died: %s", error)
