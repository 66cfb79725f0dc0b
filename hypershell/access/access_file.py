"""Access files: where a server is and with which keys it opens; made, read, split and resealed."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hypershell import __version__
from hypershell.access.endpoints import Access, Endpoint, part_of
from hypershell.access.errors import (
    AccessFileDamaged,
    AccessFileExists,
    AccessFileMissing,
    AccessFileNewer,
    AccessFileTampered,
    AccessFileUnwritable,
    NoHome,
    PassphraseMissing,
    PassphraseWrong,
    SealKeyMissing,
    shown,
)
from hypershell.access.format import (
    FORMAT,
    Layout,
    NewerFormat,
    SealedEndpoint,
    parse,
    render,
)
from hypershell.access.keyring import Keyring
from hypershell.access.keys import CLIENT, WORKER
from hypershell.access.private_files import create_private, read_private
from hypershell.access.seal import PASSPHRASE, Recipe, Seal
from hypershell.core.errors import system_reason

_LARGEST = 64 * 1024
_MODE = 0o400


class Inspection(NamedTuple):
    """What an access file says of itself, without its keys.

    It is `verified` if a seal of ours vouched for it; if not, all of this may be invented.
    """

    path: Path
    format: int
    program: str
    server_uid: str
    part: str
    addresses: dict[str, tuple[str, int]]
    recipe: Recipe
    verified: bool


def write(path: Path, access: Access, seal: Seal) -> None:
    """Make the access file `path`: complete, durable and closed to others, or not at all.

    Never written over anything that has this name: AccessFileExists.
    """
    endpoints = {
        plane: SealedEndpoint(endpoint.host, endpoint.port, seal.close(endpoint.key))
        for plane, endpoint in access.endpoints.items()
    }
    write_copy(path, render(__version__, access.server_uid, endpoints, seal))


def write_copy(path: Path, text: bytes) -> None:
    """Make the access file `path` of these bytes, as `write` does; AccessFileUnwritable."""
    try:
        made = create_private(path, text, _MODE)
    except OSError as error:
        raise AccessFileUnwritable(path=shown(path), reason=system_reason(error)) from error
    if not made:
        raise AccessFileExists(path=shown(path))


def write_together(files: Iterable[tuple[Path, Access]], seal: Seal) -> None:
    """Make several access files, or none of them if one cannot be made."""
    made: list[Path] = []
    try:
        for path, access in files:
            write(path, access, seal)
            made.append(path)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def open_text(text: bytes, path: Path, ring: Keyring) -> Access:
    """What the bytes of the access file `path` open; Refused."""
    layout = _parsed(text, path)
    seal = ring.open(layout.recipe, path)
    endpoints = _open_endpoints(layout, seal, path)
    return Access(layout.server_uid, endpoints.get(CLIENT), endpoints.get(WORKER))


def inspect(path: Path, ring: Keyring) -> Inspection:
    """What a file says of itself, also where it cannot be opened: it is then not verified.

    A file that was changed since it was made is refused, as where it is opened.
    """
    layout = _load(path)
    verified = True
    try:
        _open_endpoints(layout, ring.open(layout.recipe, path), path)
    except (NoHome, SealKeyMissing, PassphraseMissing, PassphraseWrong):
        verified = False
    addresses = {
        plane: (endpoint.host, endpoint.port) for plane, endpoint in layout.endpoints.items()
    }
    return Inspection(
        path=path,
        format=FORMAT,
        program=layout.program,
        server_uid=layout.server_uid,
        part=part_of(layout.endpoints),
        addresses=addresses,
        recipe=layout.recipe,
        verified=verified,
    )


def read_text(path: Path) -> bytes:
    """The bytes of an access file that is ours alone; AccessFileMissing, Refused."""
    try:
        return read_private(path, "access file", _LARGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AccessFileMissing(path=shown(path)) from error


def _load(path: Path) -> Layout:
    """A file that is ours alone and well formed; what it says is not to be followed yet."""
    return _parsed(read_text(path), path)


def _parsed(text: bytes, path: Path) -> Layout:
    try:
        return parse(text)
    except NewerFormat as newer:
        raise AccessFileNewer(
            path=shown(path), theirs=newer.theirs, program=newer.program, ours=FORMAT
        ) from newer
    except ValueError as error:
        raise AccessFileDamaged(path=shown(path), reason=str(error)) from error


def _open_endpoints(layout: Layout, seal: Seal, path: Path) -> dict[str, Endpoint]:
    """The endpoints in a file, after its seal has been verified."""
    if not layout.is_signed_by(seal):
        # A passphrase that opens a key is the right one, and so the rest was changed.
        if layout.recipe.by == PASSPHRASE and not _opens_any(seal, layout):
            raise PassphraseWrong(path=shown(path))
        raise AccessFileTampered(path=shown(path))
    try:
        return {
            plane: Endpoint(endpoint.host, endpoint.port, seal.open(endpoint.sealed))
            for plane, endpoint in layout.endpoints.items()
        }
    except ValueError as error:  # only somebody with the seal can have made such a file
        raise AccessFileDamaged(path=shown(path), reason="its keys do not open") from error


def _opens_any(seal: Seal, layout: Layout) -> bool:
    """Whether this seal closed one of the keys at least."""
    for endpoint in layout.endpoints.values():
        with suppress(ValueError):
            seal.open(endpoint.sealed)
            return True
    return False
