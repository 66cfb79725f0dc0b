"""The planes of a server: what listens where, and which verbs it has for whom."""

from socket import socket

from hypershell.access.keys import CLIENT, WORKER
from hypershell.server.planes.client_service import ClientService
from hypershell.server.planes.error_kinds import kind_of
from hypershell.server.planes.worker_service import WorkerService
from hypershell.wire.client_plane import CLIENT_SERVICE
from hypershell.wire.client_plane import VERBS as CLIENT_VERBS
from hypershell.wire.plane import Plane
from hypershell.wire.plane_server import PlaneServer
from hypershell.wire.worker_plane import VERBS as WORKER_VERBS
from hypershell.wire.worker_plane import WORKER_SERVICE


def plane_servers(
    planes: dict[str, tuple[socket, bytes]],
    worker_service: WorkerService,
    client_service: ClientService,
) -> dict[str, PlaneServer]:
    """A server, not started yet, for each plane that has a socket which listens, and a secret."""
    objects: dict[str, dict[str, tuple[object, frozenset[str]]]] = {
        WORKER: {WORKER_SERVICE: (worker_service, WORKER_VERBS)},
        CLIENT: {CLIENT_SERVICE: (client_service, CLIENT_VERBS)},
    }
    return {
        plane: Plane(sock, plane, secret, objects[plane], kind_of).get_server()
        for plane, (sock, secret) in planes.items()
    }
