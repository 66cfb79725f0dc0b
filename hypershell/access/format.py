"""The text of an access file, format 1: how it is written, and what of a text is believed.

The file is JSON whose last member is the MAC of every byte before it. So there is one way to
write a given file, and nothing in it can change unnoticed, be it a blank.
"""

import json
import re
from typing import Any, NamedTuple, TypeGuard

from hypershell.access.keys import PLANES
from hypershell.access.seal import Recipe, Seal, recipe_from

FORMAT = 1
_LAST_FORMAT = 9999

_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
_UID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROGRAM = re.compile(r"[A-Za-z0-9._+!-]{1,64}")
_TAIL = re.compile(rb'"mac": "([0-9a-f]{64})"\n\}\n\Z')


class NewerFormat(Exception):
    """The text says that a later release laid it out: format and program, for the message."""

    def __init__(self, theirs: int, program: str) -> None:
        super().__init__(theirs, program)
        self.theirs = theirs
        self.program = program


class SealedEndpoint(NamedTuple):
    """One plane as the file has it: where, and its key, sealed."""

    host: str
    port: int
    sealed: str


class Layout(NamedTuple):
    """A well-formed file. Nothing in it may be followed before a seal vouches for `covered`."""

    program: str
    server_uid: str
    recipe: Recipe
    endpoints: dict[str, SealedEndpoint]
    covered: bytes
    mac: str

    def is_signed_by(self, seal: Seal) -> bool:
        """Whether the file is, byte for byte, the one that was made with this seal."""
        return seal.vouches_for(self.covered, self.mac)


def is_host(value: object) -> TypeGuard[str]:
    """Whether this can be a host: a name or an address and nothing else."""
    return isinstance(value, str) and _HOST.fullmatch(value) is not None


def is_port(value: object) -> TypeGuard[int]:
    """Whether others can connect to this port."""
    return type(value) is int and 1 <= value <= 65535


def is_uid(value: object) -> TypeGuard[str]:
    """Whether this can be the uid of a server."""
    return isinstance(value, str) and _UID.fullmatch(value) is not None


def render(
    program: str, server_uid: str, endpoints: dict[str, SealedEndpoint], seal: Seal
) -> bytes:
    """The text of a file, signed."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "program": program,
        "server_uid": server_uid,
        "seal": seal.recipe.to_fields(),
    }
    for plane, endpoint in endpoints.items():
        fields[plane] = {
            "host": endpoint.host,
            "port": endpoint.port,
            "secret_key": endpoint.sealed,
        }
    body = json.dumps(fields, indent=2).removesuffix("\n}").encode("ascii")
    covered = body + b',\n  "mac": "'
    return covered + seal.sign(covered).encode() + b'"\n}\n'


def parse(text: bytes) -> Layout:
    """Read a text that anybody may have written.

    ValueError says in words what is wrong with it; NewerFormat that it is for later releases.
    """
    fields = _members(text)
    _check_format(fields)
    tail = _TAIL.search(text)
    if tail is None:
        raise ValueError("its end is missing or was changed")
    if not isinstance(fields.get("program"), str) or not _PROGRAM.fullmatch(fields["program"]):
        raise ValueError("it does not say which program made it")
    if not is_uid(fields.get("server_uid")):
        raise ValueError("its server_uid is not valid")
    endpoints = {plane: _endpoint(plane, fields[plane]) for plane in PLANES if plane in fields}
    if not endpoints:
        raise ValueError("it has neither a client part nor a worker part")
    recipe = recipe_from(fields.get("seal"))
    covered, mac = text[: tail.start(1)], tail.group(1).decode()
    return Layout(fields["program"], fields["server_uid"], recipe, endpoints, covered, mac)


def _members(text: bytes) -> dict[str, Any]:
    """The members of the JSON object that the text is."""
    if not text:
        raise ValueError("it is empty")
    try:
        fields = json.loads(text.decode("ascii"), object_pairs_hook=_unique)
    # Nesting is bounded by the interpreter's stack, numbers by its limit on digits.
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON, or only a part of it") from error
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A member that stands twice would mean one thing here and another elsewhere."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _check_format(fields: dict[str, Any]) -> None:
    """Look at the format before anything else: a later one may change all the rest."""
    number = fields.get("format")
    if type(number) is not int or not FORMAT <= number <= _LAST_FORMAT:
        raise ValueError("it has no format number")
    if number > FORMAT:
        program = fields.get("program")
        known = isinstance(program, str) and _PROGRAM.fullmatch(program)
        name = f"hyper-shell {program}" if known else "another program"
        raise NewerFormat(number, name)


def _endpoint(plane: str, fields: object) -> SealedEndpoint:
    """One part of the file."""
    if not isinstance(fields, dict):
        raise ValueError(f"its {plane} part is not valid")
    host, port, sealed = fields.get("host"), fields.get("port"), fields.get("secret_key")
    if not is_host(host):
        raise ValueError(f"the host in its {plane} part is not valid")
    if not is_port(port):
        raise ValueError(f"the port in its {plane} part is not valid")
    if not isinstance(sealed, str) or not sealed:
        raise ValueError(f"its {plane} part has no key")
    return SealedEndpoint(host, port, sealed)
