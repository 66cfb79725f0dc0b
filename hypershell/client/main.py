"""Builds a client from its options, in the process in which it is to run, and runs it.

What is of this operating system is here; a client that has joined is put together by `assembly`.
"""

import functools
import logging
import math
import os
import signal
import socket
from collections.abc import Callable

from hypershell.client.assembly import Joined, run_joined
from hypershell.client.begun_table import BegunTable
from hypershell.client.descriptors import take_descriptors
from hypershell.client.events import ClientEvent, PauseAsked
from hypershell.client.found_server import Find, greeting
from hypershell.client.joining import RunOver, SignalledEarly, WasThere, join, never_there
from hypershell.client.launcher_channel import LauncherChannel
from hypershell.client.options import ClientOptions
from hypershell.client.outputs import Outputs, open_outputs
from hypershell.client.senders import Senders
from hypershell.client.server_link import ServerLink
from hypershell.client.signal_orders import SignalOrders
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.processes import SystemProcesses
from hypershell.client.tasks.shell import TaskShell, shell_of
from hypershell.client.tasks.spawn import Spawner, check_nice
from hypershell.client.tasks.watch import Watch, best_watch
from hypershell.core.environment import SERVER_DIR
from hypershell.runtime.limits import DescriptorLimit, opening
from hypershell.runtime.signals import (
    Sent,
    hand_over_signals,
    hand_over_stops,
    wait_for_signals,
)
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_messages import Welcome

log = logging.getLogger(__name__)

_LIKELY_GRACE = 5.0
"""Seconds of grace before the server has told: the default."""


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
    link = ServerLink(_found_under_lock(find), options.works_until(_LIKELY_GRACE))
    pipe = SupervisorPipe(supervisor_pipe)
    shell = shell_of(options.shell, options.prologue)
    check_nice(options.nice)
    outputs, limit = _prepare(options)
    hello = greeting(socket.gethostname(), options.slots, options.offer)
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
    before = options, inbox, link, pipe, begun, launcher
    system = _system(options, shell, welcome, begun, watch, outputs, limit)
    return run_joined(Joined(*before, *system, was_there), hello, welcome)


def _system(
    options: ClientOptions,
    shell: TaskShell,
    welcome: Welcome,
    begun: BegunTable,
    watch: Watch,
    outputs: Outputs,
    limit: DescriptorLimit | None,
) -> tuple[Orders, SystemProcesses, Watch, Output, Callable[[str], None]]:
    """What tasks are run by, and what gives them another client id."""
    added = _added(options.server_dir)
    given = welcome.client_id, socket.gethostname(), added, limit, options.nice
    spawner = Spawner(shell, *given)

    def rename(client_id: str) -> None:
        begun.belongs_to(client_id)  # before a task can have this id
        spawner.rename(client_id)

    orders = Orders(watch.wake)
    output = Output(outputs.out, outputs.err, options.most_tasks, orders.stopping, outputs.locks)
    processes = SystemProcesses(spawner, supervisor=os.getppid())
    return orders, processes, watch, output, rename


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


def _child_ended(watch: Watch, _: Sent) -> float:
    watch.wake()
    return math.inf


def _prepare(options: ClientOptions) -> tuple[Outputs, DescriptorLimit | None]:
    """See that tasks can be run at all; where their output goes, and what they may have open."""
    outputs = open_outputs(options, os.environ)
    return outputs, take_descriptors(options.most_tasks)


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
