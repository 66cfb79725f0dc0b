"""From a command line to what a client offers to tasks with needs."""

import os
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.core.setting_values import MAX_AMOUNT, MAX_MEMORY, are_amounts, read_amount
from hypershell.core.units import read_size

if TYPE_CHECKING:
    from hypershell.core.resources import Offer
    from hypershell.runtime.machine import Gpus

_AMOUNTS = ("--client-cores", "--client-memory", "--client-gpus")


def offer_from(parsed: Parsed) -> "tuple[Offer, Gpus]":
    """What a client offers, by its options or else as its machine has it; UsageError."""
    from hypershell.core.resources import Offer
    from hypershell.runtime.machine import allocated_cores, allocated_memory, visible_gpus

    is_client = parsed.verb == "client"  # where `--gpus` is what it has, not what tasks need
    given = parsed.whole("--client-cores", default=0, lowest=1, highest=MAX_AMOUNT)
    cores = given or allocated_cores(os.environ)
    gpu_names = ("--client-gpus", "--gpus") if is_client else ("--client-gpus",)
    gpus, number = visible_gpus(os.environ), parsed.text(*gpu_names)
    if number is not None:
        gpus = gpus.first(parsed.whole(*gpu_names, default=0, lowest=0, highest=MAX_AMOUNT))
    offer = Offer(
        cores=cores,
        memory=_memory_from(parsed) or allocated_memory(os.environ, cores),
        gpus=len(gpus.ids),
        others=_others_from(parsed, is_client),
        limits_places=bool(parsed.repeated("--num-threads") or parsed.repeated("--jobs")),
    )
    return offer, gpus


def offer_words(parsed: Parsed, clients: int) -> list[str]:
    """The words that give each of so many clients of this machine its offer.

    Several share what it has: its GPUs are left to those who say which client has how many.
    """
    from hypershell.runtime.machine import allocated_cores, allocated_memory

    cores = allocated_cores(os.environ)
    shares: dict[str, str] = {}
    if clients > 1:
        memory = allocated_memory(os.environ, cores) // clients
        shares = dict(zip(_AMOUNTS, (f"{max(1, cores // clients)}", f"{memory}", "0"), strict=True))
    given = {name: text for name in _AMOUNTS if (text := parsed.text(name)) is not None}
    words = [word for pair in (shares | given).items() for word in pair]
    for text in parsed.repeated("--client-resource"):
        words += ["--client-resource", text]
    return [*words, "--pin"] if parsed.flag("--pin") else words


def _memory_from(parsed: Parsed) -> int | None:
    text = parsed.text("--client-memory")
    if text is None:
        return None
    try:
        size = read_size(text)
    except ValueError as error:
        raise parsed.error(f"--client-memory {text!r}: {error}") from None
    if not 1 <= size <= MAX_MEMORY:
        raise parsed.error(f"--client-memory must be from 1 byte to 1 EiB, not {text!r}")
    return size


def _others_from(parsed: Parsed, is_client: bool) -> tuple[tuple[str, int], ...]:
    names = ("--client-resource", "--resource") if is_client else ("--client-resource",)
    found: dict[str, int] = {}
    for name in names:
        for text in parsed.repeated(name):
            try:
                found.update(read_amount(text))
            except ValueError:
                raise parsed.error(f"{name} must be NAME=NUMBER, not {text!r}") from None
    others = tuple(sorted(found.items()))
    if not are_amounts(others):
        wants = f"a NAME of letters, digits, - and _, and a NUMBER from 1 to {MAX_AMOUNT}"
        raise parsed.error(f"{names[0]} needs {wants}")
    return others
