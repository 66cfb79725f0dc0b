"""Builds a client from its options, in the process in which it is to run, and runs it."""

import functools
import logging
import math
import os
import signal
import socket

from hypershell.client.begun_table import BegunTable
from hypershell.client.client import Client
from hypershell.client.events import BufferDrained, ClientEvent, LoopFailed
from hypershell.client.fetcher import Fetcher
from hypershell.client.joining import SignalledEarly, join
from hypershell.client.options import ClientOptions
from hypershell.client.returner import Returner
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.senders import Senders
from hypershell.client.server_link import Find, ServerLink, greeting
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
from hypershell.core.errors import FileUnwritable, HyperShellError, TooManySlots
from hypershell.core.units import counted
from hypershell.runtime.limits import raise_descriptor_limit
from hypershell.runtime.loop import Loop
from hypershell.runtime.signals import Sent, hand_over_signals, wait_for_signals
from hypershell.runtime.threads import Inbox

log = logging.getLogger(__name__)

_DESCRIPTORS_A_SLOT = 5  # two pipes, and what watches the task
_OWN_DESCRIPTORS = 50  # far more than a client has open beside them


def run_client(options: ClientOptions, find: Find, supervisor_pipe: int, begun: BegunTable) -> int:
    """Run a client to its end; `supervisor_pipe` and `begun` are what its supervisor reads.

    Blocks; returns the exit status. Raises HyperShellError.
    """
    inbox: Inbox[ClientEvent] = Inbox()
    watch = best_watch()
    supervisor = os.getppid()
    orders = SignalOrders(Senders(begun, supervisor, (), log.warning), inbox)
    hand_over_signals(orders.came)
    if watch.needs_sigchld:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what is ignored is not waited for
        wait_for_signals({signal.SIGCHLD}, functools.partial(_child_ended, watch))
    else:
        # As the executor blocks it, the kernel would wake this thread for it, if only to drop it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    link = ServerLink(find)
    return _run(options, link, SupervisorPipe(supervisor_pipe), begun, orders, watch)


def _run(
    options: ClientOptions,
    link: ServerLink,
    pipe: SupervisorPipe,
    begun: BegunTable,
    signals: SignalOrders,
    watch: Watch,
) -> int:
    """Join, run tasks until the end, leave; the exit status."""
    inbox = signals.inbox
    out, err = _prepare(options)
    host = socket.gethostname()
    hello = greeting(host, options.slots)
    try:
        welcome = join(link, hello, inbox, options.wait, options.delay_start)
    except SignalledEarly as early:
        return 128 + early.number
    signals.grace_seconds = welcome.grace_seconds
    pipe.joined(welcome, link.heard_at)

    spawner = Spawner(options.shell, welcome.client_id, host)
    processes = SystemProcesses(spawner)
    orders = Orders(watch.wake)
    buffer = TaskBuffer(
        options.slots, watch.wake, lambda all_: inbox.put(BufferDrained(all_)), begun
    )
    output = Output(out, err, options.slots, orders.stopping)
    executor = Executor(
        options.slots, buffer, orders, processes, output, watch, welcome.grace_seconds
    )
    tasks = RunningTasks(orders, buffer, processes, pipe)
    session = Session(hello, welcome, link, buffer, tasks, pipe, spawner.rename, inbox.put)
    fetcher, returner = Fetcher(link, session), Returner(link, session, buffer)
    client = Client(inbox, session, link, buffer, tasks, pipe, options.idle_timeout)

    failed = functools.partial(_loop_failed, inbox)
    executing = Loop("executor", executor.one_pass, failed, watch.wake)
    fetching = Loop("fetcher", fetcher.one_pass, failed)
    returning = Loop("returner", returner.one_pass, failed, buffer.wake)
    for loop in (executing, fetching, returning):
        loop.start()
    try:
        return client.wait_for_end()
    finally:
        for loop in (executing, fetching, returning):
            loop.stop()
        link.close()
        # While it passes on what a task printed, the executor still needs the pipes.
        if executing.join(1.0):
            output.close()


def _child_ended(watch: Watch, _: Sent) -> float:
    watch.wake()
    return math.inf


def _prepare(options: ClientOptions) -> tuple[int, int]:
    """See that tasks can be run at all; the descriptors of where their output goes."""
    check_shell(options.shell)
    out, err = _open_output(options.out_path, 1, "-o"), _open_output(options.err_path, 2, "-e")
    if not raise_descriptor_limit(_DESCRIPTORS_A_SLOT * options.slots + _OWN_DESCRIPTORS):
        raise TooManySlots(slots=counted(options.slots, "slot"))
    return out, err


def _loop_failed(inbox: Inbox[ClientEvent], name: str, error: Exception) -> None:
    if not isinstance(error, HyperShellError):
        log.critical("the %s failed: %r", name, error, exc_info=error)
    inbox.put(LoopFailed(name, error))


def _open_output(path: str | None, default: int, option: str) -> int:
    """Where output goes: a file of its own, appended to, or what this process was given."""
    try:
        if path is not None:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        return os.dup(default)
    except OSError as error:
        if path is None:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)  # we were started without
        raise FileUnwritable(
            path=path, reason=(error.strerror or "").lower(), option=option
        ) from error
