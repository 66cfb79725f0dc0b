"""The processes of tasks, as the executor sees them: the only thing by which it touches the system.

A simulation hands the executor another `Processes`; everything else that it does is decisions.
"""

import os
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Protocol

from hypershell.client.tasks.grants import Grant
from hypershell.client.tasks.spawn import Child, Spawner, reap
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.runtime import clock, procfs
from hypershell.runtime.procfs import environments, live_sessions, running_below, stopped_below
from hypershell.runtime.tree_memory import exact_tree_kib, oom_kills, tree_kib

_PAUSE_SECONDS = 0.5


class Processes(Protocol):
    """Starts, signals and reaps the processes of one client's tasks."""

    def spawn(
        self, claim: Claim, slot: int, out: int, err: int, grant: Grant | None = None
    ) -> Child:
        """Start a task with these descriptors as its output; OSError if it cannot be."""

    def reap(self, child: Child) -> Outcome:
        """Collect a child that has ended: its outcome, as the shell or the kernel tells it."""

    def terminate(self, children: Iterable[Child]) -> None:
        """Ask all processes in the sessions of these tasks, which are not reaped yet, to end."""

    def kill(self, children: Iterable[Child]) -> None:
        """Kill all processes in the sessions of these tasks, which are not reaped yet."""

    def pause(self, children: Iterable[Child]) -> None:
        """Stop all processes of these tasks by SIGSTOP, and what tasks before them left."""

    def go_on(self, children: Iterable[Child]) -> None:
        """Continue those that `pause` stopped."""

    def live_sessions(self) -> Collection[int]:
        """The sessions in which something is alive, zombies not counted."""

    def kill_strays(self, task_ids: Collection[int] | None = None) -> int:
        """Kill what tasks left running, also what has left their sessions.

        Only what belongs to these tasks, if some are named. Returns how many processes it was.
        """

    def outlived(self, child: Child) -> bool:
        """Whether a task that was just reaped left processes in its session."""

    def memory_kib(self, child: Child, *, exact: bool = False) -> int:
        """How much memory a task and all below it use; to be exact takes longer."""

    def oom_kills(self) -> int | None:
        """How many processes the kernel killed here for want of memory; None if unknown."""


class SystemProcesses:
    """The real ones. Below `supervisor`, if there is one, is all that tasks leave running."""

    def __init__(self, spawner: Spawner, supervisor: int = 0) -> None:
        self._spawner = spawner
        self._supervisor = supervisor
        self._paused: set[int] = set()
        self._trees: dict[int, dict[int, int]] = {}  # by task: what was below it
        # Called for each task: the functions themselves, with no call in between.
        self.spawn = spawner.spawn
        self.reap = reap

    def terminate(self, children: Iterable[Child]) -> None:
        """See Processes."""
        self._note_trees(children)
        # A task that was stopped by a signal must run to see that it is to end.
        _signal_sessions(children, signal.SIGTERM, signal.SIGCONT)

    def kill(self, children: Iterable[Child]) -> None:
        """See Processes."""
        self._note_trees(children)
        _signal_sessions(children, signal.SIGKILL)

    def pause(self, children: Iterable[Child]) -> None:
        """See Processes."""
        root, sessions = self._root(), [child.pid for child in children]
        not_ours: set[int] = set()
        # Until a look finds nothing that runs: it may have started more in the meantime.
        deadline = clock.monotonic() + _PAUSE_SECONDS
        while running := running_below(root, sessions) - not_ours:
            for pid in running:
                try:
                    os.kill(pid, signal.SIGSTOP)
                    self._paused.add(pid)
                except (ProcessLookupError, PermissionError):
                    not_ours.add(pid)
            if clock.monotonic() > deadline:
                return  # the kernel holds one in a call, after which it is stopped
            clock.sleep(0.001)

    def go_on(self, children: Iterable[Child]) -> None:
        """See Processes."""
        stopped = stopped_below(self._root(), [child.pid for child in children])
        for pid in self._paused & stopped:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGCONT)
        self._paused.clear()

    def _root(self) -> int:
        """The process below which all is that tasks started: orphans come to the supervisor."""
        return self._supervisor if self._supervisor == os.getppid() else os.getpid()

    def live_sessions(self) -> Collection[int]:
        """See Processes."""
        return live_sessions()

    def kill_strays(self, task_ids: Collection[int] | None = None) -> int:
        """See Processes.

        They carry the client's mark in their environment. Those that have removed that as well are
        below the supervisor, or were below their task when it was told to end.
        """
        found = kill_strays(self._spawner.client_id, task_ids)
        if task_ids is None:
            self._trees.clear()
            if self._supervisor and self._supervisor == os.getppid():
                found += _kill(procfs.alive_below(self._supervisor))
            return found
        for task_id in task_ids:
            tree = self._trees.pop(task_id, {})
            if alive := {pid: at for pid, at in tree.items() if procfs.began(pid) == at}:
                found += _kill(alive)
                self._trees[task_id] = alive
        return found

    def outlived(self, child: Child) -> bool:
        """See Processes."""
        if self._supervisor and self._supervisor == os.getppid():
            # Orphans are its children: mostly there is none, and this is known at once.
            children = procfs.children_of(self._supervisor)
            if children is not None and len(children) == 1:
                return False
        return child.pid in live_sessions()

    def memory_kib(self, child: Child, *, exact: bool = False) -> int:
        """See Processes."""
        return (exact_tree_kib if exact else tree_kib)(child.pid)

    def oom_kills(self) -> int | None:
        """See Processes."""
        return oom_kills()

    def _note_trees(self, children: Iterable[Child]) -> None:
        """Remember what is below these tasks, which may leave their sessions and environments."""
        tasks = {child.pid: child.claim.task_id for child in children if child.outcome is None}
        for pid, tree in procfs.trees(tasks).items():
            self._trees.setdefault(tasks[pid], {}).update(tree)


def _kill(pids: Iterable[int]) -> int:
    """Kill these; how many it may."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _signal_sessions(children: Iterable[Child], *numbers: int) -> None:
    """Signal all groups in the sessions of tasks; until one is reaped, its number is its own.

    The group of a leader that is not reaped is signaled also where nothing tells which others there
    are.
    """
    sessions = live_sessions()
    for child in children:
        own = {child.pid} if child.outcome is None else set()
        for group in sessions.get(child.pid, set()) | own:
            for number in numbers:
                # It may have ended, or run as somebody else by now.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)


def kill_strays(client_id: str, task_ids: Collection[int] | None = None) -> int:
    """Kill all processes that carry a client's mark in their environment, wherever they went.

    Only those of these tasks, if some are named. Returns how many there were.
    """
    found = 0
    mark = b"TASK_CLIENT_ID=" + client_id.encode()
    marks = None if task_ids is None else {b"TASK_ID=%d" % task_id for task_id in task_ids}
    for pid, variables in environments():
        if mark in variables and (marks is None or not marks.isdisjoint(variables)):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                found += 1
    return found
