"""Pauses that grow, for what is tried again until it succeeds."""


class Backoff:
    """A sequence of pauses in seconds: `first`, each `factor` times the one before, at most `most`.

    It neither waits nor reads a clock: the caller decides how to wait.
    """

    __slots__ = ("_factor", "_first", "_most", "_next")

    def __init__(self, first: float, most: float, factor: float = 2.0) -> None:
        self._first = first
        self._most = most
        self._factor = factor
        self._next = first

    def pause(self) -> float:
        """The next pause."""
        pause = self._next
        self._next = min(pause * self._factor, self._most)
        return pause

    def reset(self) -> None:
        """Reset after a success: the next pause is the first one again."""
        self._next = self._first
