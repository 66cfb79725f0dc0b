"""The endpoints of a server that an access file holds, one for each plane, and their keys."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypershell.access.errors import PartMissing, shown
from hypershell.access.format import is_host, is_port, is_uid
from hypershell.access.keys import CLIENT, PLANES, WORKER, new_key
from hypershell.core.errors import UsageError

FULL = "full"

_NEEDS = {
    WORKER: (
        "the worker part",
        "use the file that `generate-access` wrote with --worker-file, or the full file",
    ),
    CLIENT: (
        "the client part",
        "use the file that `generate-access` wrote with --client-file, or the full file",
    ),
    FULL: (
        "both parts",
        "use the full file that `hyper-shell server generate-access FULL` wrote",
    ),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One plane of a server: the host and port where it listens, and its key."""

    host: str
    port: int
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """What an access file opens: one plane of a server, or both."""

    server_uid: str
    client: Endpoint | None
    worker: Endpoint | None

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The planes that it opens."""
        both = {CLIENT: self.client, WORKER: self.worker}
        return {plane: endpoint for plane, endpoint in both.items() if endpoint is not None}

    @property
    def part(self) -> str:
        """`full`, `client` or `worker`."""
        return part_of(self.endpoints)

    def only(self, plane: str) -> "Access":
        """What a file with only the part of this plane opens."""
        return Access(
            self.server_uid,
            client=self.client if plane == CLIENT else None,
            worker=self.worker if plane == WORKER else None,
        )

    def endpoint(self, plane: str, command: str, path: Path) -> Endpoint:
        """The endpoint that a command needs; PartMissing says which commands can use the file."""
        if plane not in self.endpoints:
            raise _part_missing(self.part, plane, command, path)
        return self.endpoints[plane]

    def need_full(self, command: str, path: Path) -> "Access":
        """This, if it opens both planes, as a server must."""
        if self.part != FULL:
            raise _part_missing(self.part, FULL, command, path)
        return self


def new_server_uid() -> str:
    """A short name for one start of a server: 8 letters and digits, none alike in print."""
    return "".join(secrets.choice("23456789abcdefghjkmnpqrstuvwxyz") for _ in range(8))


def generate(worker: tuple[str, int], client: tuple[str, int]) -> Access:
    """Access to a new server at these hosts and ports, with keys made here; UsageError."""
    return access_to(new_server_uid(), Endpoint(*worker, new_key()), Endpoint(*client, new_key()))


def access_to(server_uid: str, worker: Endpoint, client: Endpoint) -> Access:
    """Access to both planes of a server; UsageError if others could not connect there."""
    for plane, endpoint in ((WORKER, worker), (CLIENT, client)):
        if not is_host(endpoint.host):
            raise UsageError(
                f"{endpoint.host!a} is not a valid host for the {plane} port",
                hint="give a name or an address in ASCII",
            )
        if not is_port(endpoint.port):
            raise UsageError(
                f"{endpoint.port} is not a valid {plane} port",
                hint="give a port from 1 to 65535",
            )
    if not is_uid(server_uid):
        raise UsageError(f"{server_uid!a} is not a valid server uid")
    return Access(server_uid, client, worker)


def part_of(endpoints: Mapping[str, object]) -> str:
    """What to call a file that opens these planes: `full`, `client` or `worker`."""
    return FULL if len(endpoints) == len(PLANES) else next(iter(endpoints))


def _part_missing(has: str, part: str, command: str, path: Path) -> PartMissing:
    needs, remedy = _NEEDS[part]
    return PartMissing(path=shown(path), has=has, command=command, needs=needs, remedy=remedy)
