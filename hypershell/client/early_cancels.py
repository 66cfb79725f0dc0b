"""Claims that were cancelled before they came: they may still be on their way to this client.

A cancel goes with the answer to one call, and the claim with that to another. It reads no clock;
times are monotonic seconds.
"""

from collections.abc import Iterable

from hypershell.client.begun_table import Pair

_REMEMBER_SECONDS = 600.0
"""How long a claim may be on its way."""


class EarlyCancels:
    """Those that are still awaited. False if there are none."""

    def __init__(self) -> None:
        self._noted_at: dict[Pair, float] = {}

    def __bool__(self) -> bool:
        return bool(self._noted_at)

    def note(self, pairs: Iterable[Pair], now: float) -> None:
        """These are cancelled, and have not come."""
        noted_at = self._noted_at
        self._noted_at = {p: at for p, at in noted_at.items() if now - at < _REMEMBER_SECONDS}
        self._noted_at.update((pair, now) for pair in pairs)

    def take(self, pair: Pair) -> bool:
        """Whether this one, which has come, was cancelled; it is not awaited any more."""
        return self._noted_at.pop(pair, None) is not None

    def clear(self) -> None:
        """Await none."""
        self._noted_at.clear()
