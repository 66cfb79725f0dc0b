"""Makes access files beforehand, and seals them again for a journey."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from hypershell.access.access_file import write, write_together
from hypershell.access.endpoints import generate
from hypershell.access.keys import CLIENT, WORKER
from hypershell.app.locate import Passphrases


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """An access file for a server that is yet to start: a host and a port for each plane.

    `parts` are the paths of further files, each with one plane alone.
    """

    path: Path
    addresses: dict[str, tuple[str, int]]
    parts: dict[str, Path] = field(default_factory=dict)
    passphrases: Passphrases = field(default_factory=Passphrases)


@dataclass(frozen=True, slots=True)
class ResealOptions:
    """The access file at `path`, to be written to `out` with another seal.

    `old` opens the file. `new` seals the copy: with its passphrase, or with the user's seal key if
    it has none, and a person who is asked types none.
    """

    path: Path
    out: Path
    old: Passphrases
    new: Passphrases


def generate_access(options: GenerateOptions) -> None:
    """Make the file and its parts with new keys, or none of them."""
    access = generate(options.addresses[WORKER], options.addresses[CLIENT])
    seal = options.passphrases.ring().new_seal()
    parts = [(path, access.only(plane)) for plane, path in options.parts.items()]
    write_together([(options.path, access), *parts], seal)


def reseal(options: ResealOptions) -> None:
    """Write a file that opens the same, with another seal."""
    access = options.old.open(options.path)
    ring = options.new.ring()
    if ring.passphrase is None and options.new.ask is not None:
        ring = replace(ring, passphrase=options.new.ask(options.out) or None)
    write(options.out, access, ring.new_seal())
