"""Waits for children to end and for pipes to fill, in one place.

On Linux each child has a pidfd in an epoll set. Elsewhere children are looked at whenever SIGCHLD
came, which the client's main thread passes on by `wake`.
"""

import contextlib
import os
import select
import sys
from typing import Protocol

from hypershell.client.tasks.spawn import Child
from hypershell.runtime import clock


class Watch(Protocol):
    """What the executor needs to know: who ended, which pipes have something."""

    needs_sigchld: bool
    """Whether `wake` is to be called at each SIGCHLD. A handler costs as much as a small task."""

    def add(self, child: Child) -> None:
        """Watch a child that was started."""

    def remove(self, child: Child) -> None:
        """Watch it no longer; it is still unreaped."""

    def add_pipe(self, descriptor: int) -> None:
        """Watch a pipe for something to read."""

    def remove_pipe(self, descriptor: int) -> None:
        """Watch it no longer; before it is closed."""

    def wait(self, timeout: float | None) -> tuple[list[Child], list[int]]:
        """Children that ended and pipes with something to read.

        A child is reported by each wait until it is removed. All that it had written when it ended
        is in a pipe that is reported with it.
        """

    def wake(self) -> None:
        """End a wait, from another thread or a signal handler."""

    def close(self) -> None:
        """Close all descriptors."""


class _Waker:
    """A pipe that wakes the thread that polls it."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self._write_end, False)

    def wake(self) -> None:
        try:
            os.write(self._write_end, b"w")
        except BlockingIOError:
            pass  # it is awake already

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.read_end, 4096)

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self._write_end)


if sys.platform == "linux":

    class PidfdWatch:
        """Children by pidfd, all in one epoll set."""

        needs_sigchld = False

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._waker = _Waker()
            self._epoll.register(self._waker.read_end, select.EPOLLIN)
            self._children: dict[int, Child] = {}
            self._pidfds: dict[Child, int] = {}
            self._most_events = 1

        def add(self, child: Child) -> None:
            pidfd = os.pidfd_open(child.pid)
            try:
                self._epoll.register(pidfd, select.EPOLLIN)
            except OSError:
                os.close(pidfd)  # the child is killed, and is nobody's to remove
                raise
            self._children[pidfd] = child
            self._pidfds[child] = pidfd

        def remove(self, child: Child) -> None:
            pidfd = self._pidfds.pop(child)
            del self._children[pidfd]
            # Out of the set before it is closed: another child may hold a copy for a moment,
            # and epoll would go on reporting it.
            self._epoll.unregister(pidfd)
            os.close(pidfd)

        def add_pipe(self, descriptor: int) -> None:
            self._epoll.register(descriptor, select.EPOLLIN)
            self._most_events += 1

        def remove_pipe(self, descriptor: int) -> None:
            self._epoll.unregister(descriptor)
            self._most_events -= 1

        def wait(self, timeout: float | None) -> tuple[list[Child], list[int]]:
            # Room for all events: then what a child wrote comes with the news of its end.
            most = self._most_events + len(self._children)
            if timeout is not None and timeout > clock.LONGEST_WAIT:
                timeout = clock.LONGEST_WAIT
            events = self._epoll.poll(timeout, most)
            ended, readable = [], []
            for descriptor, _ in events:
                if (child := self._children.get(descriptor)) is not None:
                    ended.append(child)
                elif descriptor == self._waker.read_end:
                    self._waker.clear()
                else:
                    readable.append(descriptor)
            return ended, readable

        def wake(self) -> None:
            self._waker.wake()

        def close(self) -> None:
            self._epoll.close()
            self._waker.close()
            for pidfd in self._children:
                os.close(pidfd)


class SignalWatch:
    """Children by waitid after SIGCHLD, pipes by poll; for systems without pidfds."""

    needs_sigchld = True

    def __init__(self) -> None:
        self._poller = select.poll()
        self._waker = _Waker()
        self._poller.register(self._waker.read_end, select.POLLIN)
        self._children: dict[Child, None] = {}

    def add(self, child: Child) -> None:
        """See Watch."""
        self._children[child] = None
        self.wake()  # it may have ended before it was here

    def remove(self, child: Child) -> None:
        """See Watch."""
        del self._children[child]

    def add_pipe(self, descriptor: int) -> None:
        """See Watch."""
        self._poller.register(descriptor, select.POLLIN)

    def remove_pipe(self, descriptor: int) -> None:
        """See Watch."""
        self._poller.unregister(descriptor)

    def wait(self, timeout: float | None) -> tuple[list[Child], list[int]]:
        """See Watch."""
        self._poller.poll(clock.poll_milliseconds(timeout))
        self._waker.clear()
        ended = [child for child in self._children if has_ended(child.pid)]
        # Once more, after the children: what one had written when it ended is here by now.
        events = self._poller.poll(0)
        return ended, [fd for fd, _ in events if fd != self._waker.read_end]

    def wake(self) -> None:
        """See Watch."""
        self._waker.wake()

    def close(self) -> None:
        """See Watch."""
        self._waker.close()


def has_ended(pid: int) -> bool:
    """Whether a child of this process has ended; it is not reaped by this."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


def best_watch() -> Watch:
    """The watch for this system."""
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:
            return SignalWatch()  # a kernel before 5.3
        return PidfdWatch()
    return SignalWatch()
