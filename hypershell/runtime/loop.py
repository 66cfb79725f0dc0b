"""A thread that runs passes until it is stopped, and never dies silently."""

import logging
import threading
from collections.abc import Callable

from hypershell.runtime.signals import leave_signals_alone

log = logging.getLogger(__name__)


class Loop:
    """A named thread that calls `one_pass` again and again.

    A pass returns False when there is nothing left to do, ever. It may block; whoever stops the
    loop wakes it by `wake`. An error in a pass ends the loop and is handed to `failed`.
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
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Run no further pass; returns at once."""
        self._stopping.set()
        self._wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        leave_signals_alone()
        try:
            while not self._stopping.is_set() and self._one_pass():
                pass
        except Exception as error:
            log.debug("the %s failed", self._name, exc_info=True)
            self._failed(self._name, error)
