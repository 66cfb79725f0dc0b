"""How a client and its server share out a lease: the arithmetic of both, which reads no clock."""

_MAX_CALL = 60.0


def margin_seconds(lease_seconds: float) -> float:
    """How much earlier than the server a client takes its lease to be over."""
    return min(1.0, lease_seconds / 10)


def call_seconds(lease_seconds: float, grace_seconds: float) -> float:
    """How long a call may be parked, and then how much longer its answer may take.

    The lease counts from when a call that was answered was sent. A quarter of what a client has of
    it for parking, one for the answer, and as much for the next call, leave one to come back in
    when a connection dies without a word.
    """
    mine = lease_seconds - grace_seconds - margin_seconds(lease_seconds)
    return min(mine / 4, _MAX_CALL)
