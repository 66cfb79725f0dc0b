"""Builds a client from its options, in the process in which it is to run, and runs it."""

import functools
import logging
import math
import os
import signal
import socket
from typing import NamedTuple

from hypershell.client.begun_table import BegunTable
from hypershell.client.client import Client
from hypershell.client.descriptors import take_descriptors
from hypershell.client.events import BufferDrained, ClientEvent, LoopFailed, PauseAsked
from hypershell.client.fetcher import Fetcher
from hypershell.client.found_server import Find, greeting
from hypershell.client.joining import RunOver, SignalledEarly, WasThere, join, never_there
from hypershell.client.launcher_channel import LauncherChannel
from hypershell.client.options import ClientOptions
from hypershell.client.outputs import Outputs, open_outputs
from hypershell.client.returner import Returner
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.senders import Senders
from hypershell.client.server_link import ServerLink
from hypershell.client.session import Session
from hypershell.client.signal_orders import SignalOrders
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.executor import Executor
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.processes import SystemProcesses
from hypershell.client.tasks.spawn import Spawner, check_shell
from hypershell.client.tasks.watch import Watch, best_watch
from hypershell.core.environment import SERVER_DIR
from hypershell.core.errors import HyperShellError
from hypershell.core.unwritten import Unwritten
from hypershell.runtime.limits import DescriptorLimit, opening
from hypershell.runtime.loop import Loop
from hypershell.runtime.signals import (
    Sent,
    hand_over_signals,
    hand_over_stops,
    wait_for_signals,
)
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_messages import Hello, Welcome

log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """What a client has before it joins."""

    options: ClientOptions
    link: ServerLink
    pipe: SupervisorPipe
    begun: BegunTable
    signals: SignalOrders
    watch: Watch
    launcher: LauncherChannel
    outputs: Outputs
    limit: DescriptorLimit | None
    was_there: WasThere


def run_client(
    options: ClientOptions,
    find: Find,
    supervisor_pipe: int,
    begun: BegunTable,
    control: int | None = None,
    was_there: WasThere = never_there,
) -> int:
    """Run a client to its end; `supervisor_pipe` and `begun` are what its supervisor reads.

    `control` is the descriptor of its launcher's channel, if it has one; `was_there` tells whether
    a server has come and gone.

    Blocks; returns the exit status. Raises HyperShellError.
    """
    inbox: Inbox[ClientEvent] = Inbox()
    watch = best_watch()
    signals = SignalOrders(Senders(begun, os.getppid(), (), log.warning), inbox)
    _heed_signals(signals, watch)
    launcher = _launcher(control, inbox)
    link = ServerLink(_found_under_lock(find))
    pipe = SupervisorPipe(supervisor_pipe)
    outputs, limit = _prepare(options)
    hello = greeting(socket.gethostname(), options.slots)
    try:
        welcome = join(link, hello, inbox, options.wait, options.delay_start, was_there)
    except SignalledEarly as early:
        return 128 + early.number
    except RunOver:
        log.info("the server has ended: it has no more tasks")
        return 0
    signals.grace_seconds = welcome.grace_seconds
    begun.belongs_to(welcome.client_id)
    pipe.joined(welcome, link.heard_at)
    parts = _Parts(options, link, pipe, begun, signals, watch, launcher, outputs, limit, was_there)
    return _run(parts, hello, welcome)


def _heed_signals(signals: SignalOrders, watch: Watch) -> None:
    """Give the signals that end a client to its orders, and SIGCHLD to a watch that needs it."""
    hand_over_signals(signals.came)
    if watch.needs_sigchld:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what is ignored is not waited for
        wait_for_signals({signal.SIGCHLD}, functools.partial(_child_ended, watch))
    else:
        # As the executor blocks it, the kernel would wake this thread for it, if only to drop it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})


def _launcher(control: int | None, inbox: Inbox[ClientEvent]) -> LauncherChannel:
    """The channel of the launcher, which alone says when to pause; without one Ctrl-Z does."""
    launcher = LauncherChannel(control)
    if launcher.exists:
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a line may send it
        launcher.listen(inbox.put)
    else:
        hand_over_stops(lambda: inbox.put(PauseAsked(by_launcher=False)))
    return launcher


def _run(parts: _Parts, hello: Hello, welcome: Welcome) -> int:
    """Run tasks until the end, and leave; the exit status."""
    options, link, pipe, begun, signals, watch, launcher, outputs, limit, was_there = parts
    inbox, slots = signals.inbox, options.slots
    spawner = Spawner(
        options.shell, welcome.client_id, socket.gethostname(), _added(options.server_dir), limit
    )
    processes = SystemProcesses(spawner, supervisor=os.getppid())
    orders = Orders(watch.wake)
    buffer = TaskBuffer(slots, watch.wake, lambda all_: inbox.put(BufferDrained(all_)), begun)
    output = Output(outputs.out, outputs.err, slots, orders.stopping, outputs.locks)
    executor = Executor(slots, buffer, orders, processes, output, watch, welcome.grace_seconds)
    tasks = RunningTasks(orders, buffer, processes, pipe)

    def rename(client_id: str) -> None:
        begun.belongs_to(client_id)  # before a task can have this id
        spawner.rename(client_id)

    session = Session(hello, welcome, link, buffer, tasks, pipe, rename, inbox.put)
    fetcher = Fetcher(link, session)
    returner = Returner(link, session, buffer, lambda: output.unwritten)
    client = Client(
        *(inbox, session, link, buffer, tasks, pipe),
        *(options.idle_timeout, launcher, options.wait, was_there),
    )
    failed = functools.partial(_loop_failed, inbox)
    executing = Loop("executor", executor.one_pass, failed, watch.wake)
    fetching = Loop("fetcher", fetcher.one_pass, failed)
    returning = Loop("returner", returner.one_pass, failed, buffer.wake)
    return _work(client, executing, [fetching, returning], link, output)


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


def _child_ended(watch: Watch, _: Sent) -> float:
    watch.wake()
    return math.inf


def _finish_output(output: Output, link: ServerLink) -> Unwritten | None:
    """Write what is left of the output; what could not be written, having told the server."""
    unwritten = output.finish_writing()
    if output.has_ever_failed:
        link.tell_last(unwritten or Unwritten(0, 0, "", is_final=True))
    if unwritten is not None:
        log.error("output of tasks was lost: %s", unwritten.text)
    return unwritten


def _prepare(options: ClientOptions) -> tuple[Outputs, DescriptorLimit | None]:
    """See that tasks can be run at all; where their output goes, and what they may have open."""
    check_shell(options.shell)
    outputs = open_outputs(options, os.environ)
    return outputs, take_descriptors(options.slots)


def _found_under_lock(find: Find) -> Find:
    """Reads an access file, as tasks may be started meanwhile."""

    def found() -> tuple[str, int, bytes]:
        with opening:
            return find()

    return found


def _added(server_dir: str | None) -> dict[str, str]:
    """The variables that tasks get beside ours: `submit` in a task finds its own server."""
    named = server_dir or os.environ.get(SERVER_DIR)
    # Tasks run elsewhere: a relative path would mean another directory there.
    return {} if not named or named.startswith("~") else {SERVER_DIR: os.path.abspath(named)}


def _loop_failed(inbox: Inbox[ClientEvent], name: str, error: Exception) -> None:
    if not isinstance(error, HyperShellError):
        log.critical("the %s failed: %r", name, error, exc_info=error)
    inbox.put(LoopFailed(name, error))
