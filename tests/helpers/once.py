"""Tasks that prove they never run twice at the same time: each holds a lock as long as it lives."""

from tests.helpers.farm import Farm


def exclusive(command: str, name: str = "$TASK_ID") -> str:
    """A line that runs a command under a lock of its own, and tells if another has it.

    Each start is noted in `starts`, with the attempt; each end in `ends`. The lock is held by the
    task and by all that it starts, until the last of them has died.
    """
    return (
        f"exec 9> lock-{name}; flock -n 9 || echo {name} >> twice; "
        f"echo {name} $TASK_ATTEMPT >> starts; {command}; echo {name} $TASK_ATTEMPT >> ends"
    )


def assert_never_twice(farm: Farm) -> None:
    """No task found another run of itself under way."""
    assert [] == farm.read("twice")


def starts_of(farm: Farm) -> dict[str, list[int]]:
    """The attempts that were started, by task."""
    found: dict[str, list[int]] = {}
    for line in farm.read("starts"):
        name, attempt = line.split()
        found.setdefault(name, []).append(int(attempt))
    return found
