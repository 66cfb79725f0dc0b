"""Builds a client from its options, in the process in which it is to run, and runs it."""

import functools
import logging
import os
import signal
import socket

from hypershell.client.begun_table import BegunTable
from hypershell.client.client import Client
from hypershell.client.events import BufferDrained, ClientEvent, LoopFailed, SignalCame
from hypershell.client.fetcher import Fetcher
from hypershell.client.joining import RunOver, SignalledEarly, join
from hypershell.client.options import ClientOptions
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
from hypershell.core.errors import FileUnwritable, HyperShellError, TooManySlots
from hypershell.core.units import counted
from hypershell.runtime.limits import raise_descriptor_limit
from hypershell.runtime.loop import Loop
from hypershell.runtime.signals import hand_over_signals, wait_for_signals
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_plane import WorkerProxy

log = logging.getLogger(__name__)

_DESCRIPTORS_A_SLOT = 5  # two pipes, and what watches the task
_OWN_DESCRIPTORS = 50  # far more than a client has open beside them


def run_client(
    options: ClientOptions,
    find: Find,
    supervisor_pipe: int,
    begun: BegunTable,
    was_there: WasThere = never_there,
) -> int:
    """Run a client to its end; `supervisor_pipe` and `begun` are what its supervisor reads.

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
    link = ServerLink(find, was_there)
    return _run(options, link, SupervisorPipe(supervisor_pipe), begun, inbox, watch)


def _run(
    options: ClientOptions,
    link: ServerLink,
    pipe: SupervisorPipe,
    begun: BegunTable,
    inbox: Inbox[ClientEvent],
    watch: Watch,
) -> int:
    """Join, run tasks until the end, leave; the exit status."""
    out, err = _prepare(options)
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
    client = Client(inbox, session, link, buffer, tasks, pipe, options.idle_timeout, options.wait)

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


def take_leave(find: Find, client_id: str, reason: str, begun: BegunTable) -> None:
    """Tell the server that a client is dead, so that its tasks need not wait for its lease.

    What it had not begun is given back.
    """
    log.warning("the client died (%s); its tasks were killed", reason)
    try:
        WorkerProxy(*find()).leave(client_id, f"it died ({reason})", True, *begun.read())
    except (HyperShellError, *BROKEN) as error:
        log.debug("could not tell the server that the client died: %s", error)


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
