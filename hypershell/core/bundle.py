"""When a bundle is full, or old enough to go as it is."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Bundler(Generic[T]):
    """Gathers items into bundles of `size`, none of which waits longer than `wait_seconds`.

    It reads no clock: the caller passes the time, in seconds that never go back.
    """

    def __init__(self, size: int, wait_seconds: float) -> None:
        self._size = size
        self._wait_seconds = wait_seconds
        self._gathered: list[T] = []
        self._oldest = 0.0

    def add(self, items: list[T], now: float) -> list[list[T]]:
        """Add items in order and return the bundles that are now full."""
        if not self._gathered:
            self._oldest = now
        self._gathered += items
        whole = len(self._gathered) // self._size * self._size
        if not whole:
            return []
        full = [self._gathered[i : i + self._size] for i in range(0, whole, self._size)]
        self._gathered = self._gathered[whole:]
        self._oldest = now
        return full

    def due(self, now: float) -> float | None:
        """Seconds until what is gathered must go; None if nothing is."""
        if not self._gathered:
            return None
        return max(0.0, self._oldest + self._wait_seconds - now)

    def flush(self) -> list[list[T]]:
        """Return what is gathered as it is, as at most one bundle."""
        gathered, self._gathered = self._gathered, []
        return [gathered] if gathered else []
