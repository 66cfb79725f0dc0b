"""The signals that end a client, on their way to its main thread.

It is called by the thread that waits for signals. The main thread may be busy, or be waiting for
something that never comes: a named pipe without a reader, a full pipe to a terminal that is
stopped. So each order also sets a bound after which the process is ended all the same; its
supervisor then ends what it left, and tells the server.
"""

import math

from hypershell.client.end_signals import EndSignals
from hypershell.client.events import ClientEvent, SignalCame
from hypershell.client.senders import Senders
from hypershell.runtime import clock
from hypershell.runtime.signals import Sent
from hypershell.runtime.threads import Inbox

END_SECONDS = 5.0
"""Seconds that a client may take to end after its tasks have had their grace time."""

_UNJOINED_SECONDS = 2.0
"""The same for one that has not joined, and runs nothing."""


class SignalOrders:
    """Gives the signals that are orders to the main thread.

    `grace_seconds` is what tasks have between TERM and KILL; None before the client has joined.
    """

    def __init__(self, senders: Senders, inbox: Inbox[ClientEvent]) -> None:
        self._senders = senders
        self.inbox = inbox
        self.grace_seconds: float | None = None
        self._end_signals = EndSignals()

    def came(self, sent: Sent) -> float:
        """A signal came; within how many seconds the client must have ended."""
        if not self._senders.is_order(sent):
            return math.inf
        if self._end_signals.is_copy(sent.number, clock.monotonic()):
            return math.inf  # the supervisor was sent the one before, and passed it on
        self.inbox.put(SignalCame(sent.number))
        if self.grace_seconds is None:
            return _UNJOINED_SECONDS
        if self._end_signals.lets_finish(sent.number):
            return math.inf
        return self.grace_seconds + END_SECONDS
