"""The options of a client."""

from typing import NamedTuple


class ClientOptions(NamedTuple):
    """What a client is to do. Times are in seconds.

    `wait` is for a server that is not there yet; a negative `delay_start` is a random time up to
    that long. Without a path, output goes where that of the client goes. Tasks find their server in
    `server_dir`, an absolute path, or else where the environment says.
    """

    slots: int = 1
    wait: float = 60.0
    shell: str = "/bin/sh"
    idle_timeout: float | None = None
    delay_start: float = 0.0
    out_path: str | None = None
    err_path: str | None = None
    server_dir: str | None = None
