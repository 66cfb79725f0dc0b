"""A thread that runs passes until it is stopped, and never dies silently."""

import logging
from collections.abc import Callable

from hypershell.runtime import threads

log = logging.getLogger(__name__)


class Loop:
    """A named thread that calls `one_pass` again and again.

    A pass returns False when there is nothing left to do, ever. It may block;
    `stop` calls `wake`, which must end that. An error in a pass ends the loop and goes to `failed`.
    """

    def __init__(
        self,
        name: str,
        one_pass: Callable[[], bool],
        failed: Callable[[str, Exception], None],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._one_pass = one_pass
        self._failed = failed
        self._wake = wake
        self._stopping = threads.event()
        self._thread: threads.Thread | None = None
        self._over = False
        self._at_end: list[Callable[[], None]] = []

    @property
    def is_over(self) -> bool:
        """Whether it makes no further pass, or was never started."""
        return self._over or self._thread is None

    def when_over(self, call: Callable[[], None]) -> None:
        """Call this when the loop has ended, now if it has; in either case perhaps twice."""
        self._at_end.append(call)
        if self.is_over:
            call()

    def start(self) -> None:
        """Begin."""
        self._thread = threads.start_thread(self._name, self._run)

    def stop(self) -> None:
        """Run no further pass; returns at once."""
        self._stopping.set()
        self._wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self._one_pass():
                pass
        except Exception as error:
            log.debug("the %s failed", self._name, exc_info=True)
            self._failed(self._name, error)
        finally:
            self._over = True
            for call in self._at_end:
                call()
