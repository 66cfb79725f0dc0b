"""The scheduler at the end of a run: what it leased once goes back, and it leases no more."""

from tests.helpers.fakes import ServerParts


def test_nothing_is_leased_once_the_scheduler_is_closed():
    """What is taken back from the queue stays in the store, however often somebody looks."""
    parts = ServerParts(b"a", b"b", b"c")

    parts.scheduler.close()
    parts.store.take_back(parts.scheduled.drain())
    parts.scheduler.dispatch()
    parts.scheduler.dispatch_urgent()

    assert 3 == parts.store.counts().waiting
    assert 0 == parts.scheduled.size()
