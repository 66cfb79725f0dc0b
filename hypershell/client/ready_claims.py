"""The claims of a client that are ready to start, and which of them may start now.

Claims with needs go first: the server gave each because it fits. One that does not fit yet waits
for plain tasks that were begun before it came, and no more of these are begun meanwhile: else it
might wait for ever.

It has no lock: callers hold that of the task buffer.
"""

from collections import deque
from collections.abc import Callable, Iterable

from hypershell.core.resources import Offer, Usage, packed_needs
from hypershell.core.task import Claim


class ReadyClaims:
    """Ready claims in the order in which they came. `len` counts the plain ones alone."""

    def __init__(self, slots: int, offer: Offer) -> None:
        self._slots = slots
        self._usage = Usage(offer, slots)
        self._plain: deque[Claim] = deque()
        self._with_needs: deque[Claim] = deque()

    def __len__(self) -> int:
        return len(self._plain)

    def __bool__(self) -> bool:
        return bool(self._plain or self._with_needs)

    @property
    def has_needs(self) -> bool:
        """Whether anything runs that has needs."""
        return self._usage.number > 0

    def all(self) -> list[Claim]:
        """Those with needs, and the plain ones."""
        return [*self._with_needs, *self._plain]

    def set_slots(self, slots: int) -> None:
        """So many plain tasks may run from now on."""
        self._slots = self._usage.places = slots

    def extend(self, claims: Iterable[Claim]) -> None:
        """These have come."""
        for claim in claims:
            has_needs = packed_needs(claim.packed_spec) is not None
            (self._with_needs if has_needs else self._plain).append(claim)

    def take(self, running: int) -> Claim | None:
        """The next that may start beside so many that run; they count from now on."""
        usage = self._usage
        if self._with_needs:
            return self._take_with_needs(running - usage.number)
        places = usage.plain_places() if usage.number else self._slots
        if self._plain and running - usage.number < places:
            return self._plain.popleft()
        return None

    def _take_with_needs(self, plain: int) -> Claim | None:
        for claim in self._with_needs:
            needs = packed_needs(claim.packed_spec)
            if needs is not None and self._usage.fits(needs, plain):
                self._with_needs.remove(claim)
                self._usage.add(needs)
                return claim
        return None

    def put_back(self, claim: Claim) -> None:
        """It was not started after all, and stays the next."""
        has_needs = self.ended(claim)
        (self._with_needs if has_needs else self._plain).appendleft(claim)

    def ended(self, claim: Claim) -> bool:
        """It does not run any more; whether it had needs."""
        needs = packed_needs(claim.packed_spec)
        if needs is not None:
            self._usage.add(needs, -1)
        return needs is not None

    def give_back(self, keep: int) -> list[Claim]:
        """Take out all plain ones after the first `keep`; of others there are never too many."""
        return [self._plain.pop() for _ in range(len(self._plain) - keep)][::-1]

    def give_back_all(self) -> list[Claim]:
        """Take out all."""
        claims = self.all()
        self._plain.clear()
        self._with_needs.clear()
        return claims

    def remove(self, is_meant: Callable[[Claim], bool]) -> list[Claim]:
        """Take out those that are meant."""
        found = [claim for claim in self.all() if is_meant(claim)]
        if found:
            gone = {(claim.task_id, claim.lease) for claim in found}
            for ready in (self._plain, self._with_needs):
                rest = [claim for claim in ready if (claim.task_id, claim.lease) not in gone]
                ready.clear()
                ready.extend(rest)
        return found

    def clear(self) -> None:
        """Nothing is ready, and nothing runs."""
        self._plain.clear()
        self._with_needs.clear()
        self._usage = Usage(self._usage.offer, self._slots)
