"""A client of our own, which runs nothing and knows what the server has acknowledged."""

import threading
from collections.abc import Callable

from hypershell.access.keys import WORKER, plane_secret
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.wire.worker_messages import Hello, Phase
from hypershell.wire.worker_plane import WorkerProxy

_ROOM = 40


class Observer(threading.Thread):
    """Ends every task that it is given with the status that `status_of` says of its command.

    `acknowledged` are the id and status of tasks whose outcomes the server has accepted, in this
    order; whoever reads it may take as many as it has at that moment.
    """

    def __init__(self, port: int, key: str, status_of: Callable[[bytes], int]) -> None:
        super().__init__(daemon=True)
        self._proxy = WorkerProxy("127.0.0.1", port, plane_secret(key, WORKER))
        self._status_of = status_of
        self.acknowledged: list[tuple[int, int]] = []

    def run(self) -> None:
        """Until the server says that all is done, or goes."""
        me = self._proxy.join(Hello("observer", 1, _ROOM))
        outcomes: list[Outcome] = []
        while True:
            try:
                answer = self._proxy.exchange(me.client_id, me.session, outcomes, _ROOM, 5.0)
            except (EOFError, OSError):
                return
            if answer.accepted:
                self.acknowledged += [(outcome.task_id, outcome.code) for outcome in outcomes]
                outcomes = []
            if answer.phase is Phase.OVER:
                return
            outcomes += [self._outcome(claim) for claim in answer.claims]

    def _outcome(self, claim: Claim) -> Outcome:
        status = self._status_of(claim.command)
        return Outcome(claim.task_id, claim.lease, Ending.EXITED, status)
