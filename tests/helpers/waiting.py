"""Waiting for a condition, with a bound, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.01


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first true value of a condition; AssertionError if there is none within the bound."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(_LOOK_SECONDS)
    return value


def stays(condition: Callable[[], object], seconds: float, what: str) -> None:
    """AssertionError if a condition is not true all the while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError(f"not for {seconds:g} s: {what}")
        time.sleep(_LOOK_SECONDS)
