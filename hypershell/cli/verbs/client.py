"""`hyper-shell client`: runs tasks for a server on this machine."""

import os
import sys
from dataclasses import dataclass
from typing import Any

from hypershell.cli.options import Parsed, parse
from hypershell.cli.texts import DEFAULT_PORT, LOG_OPTIONS, PLACE_OPTIONS, RUN_OPTIONS
from hypershell.core.errors import HyperShellError

USAGE = f"""\
Usage:
  hyper-shell client [options]

Join a server and run its tasks on this machine until the server has no more.
Without -k, the host, port and key come from the server directory or from an
access file.

Server options:
  -H ADDR, --host ADDR  Host of the server. The default is localhost, or the
                        host in the access file.
  -p NUM, --port NUM    Its port for clients. The default is 50001, or the port
                        in the access file.
  -k KEY, --auth KEY    Its key. Other users can read a command line, so set
                        HYPERSHELL_AUTH instead.
  --wait SEC            Wait up to SEC seconds for a server that has not started
                        yet [default: 60].
  --delay-start SEC     Wait SEC seconds before joining; a negative number waits
                        a random time up to that [default: 0].
  -T SEC, --timeout SEC
                        Leave when there was nothing to do for SEC seconds.

{PLACE_OPTIONS}
{RUN_OPTIONS}
{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell client -H node1 -p 50001 -N 4

  $ hyper-shell client -N 0 --timeout 600
"""


def run(arguments: list[str]) -> int:
    """Run a client under its supervisor; the exit status."""
    parsed = parse(USAGE, "client", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.output.logs import set_up

    settings = _settings(parsed)
    where = Where.of(parsed)
    set_up(parsed)
    where.ask_passphrase()
    return _supervise(settings, where)


def _settings(parsed: Parsed) -> dict[str, Any]:
    """What `ClientOptions` takes, checked; heavy imports come later, in the child."""
    timeout = parsed.text("--timeout")
    shell = parsed.text("--shell") or ""
    return {
        "slots": slots(parsed),
        "wait": parsed.seconds("--wait", default=60),
        "shell": shell,
        "idle_timeout": None if timeout is None else parsed.seconds("--timeout", default=0),
        "delay_start": parsed.seconds("--delay-start", default=0, lowest=-1e9),
        "out_path": parsed.text("--output"),
        "err_path": parsed.text("--errors"),
    }


def slots(parsed: Parsed) -> int:
    """How many tasks to run at a time."""
    spelled = "-j" if parsed.text("--jobs") is not None else "-N"
    name = "--jobs" if spelled == "-j" else "--num-threads"
    if spelled == "-j" and parsed.text("--num-threads") not in ("1", parsed.text("--jobs")):
        raise parsed.error("-N and -j contradict each other")
    number = parsed.whole(name, default=1, lowest=0, highest=100_000)
    return number or usable_cores()


def usable_cores() -> int:
    """Cores this process may use: the affinity mask, within the quota of its cgroup."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    quota = _cgroup_quota()
    return max(1, min(cores, int(quota))) if quota else cores


def _cgroup_quota() -> float | None:
    """Cores that the cgroup may use (cgroups(7), cpu.max and its version 1 kin); None if all."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            for line in file:
                _, controllers, path = line.strip().split(":", 2)
                if controllers == "":
                    return _smallest_quota(path)
                if "cpu" in controllers.split(","):
                    return _version_1_quota(f"/sys/fs/cgroup/{controllers}{path}")
    except (OSError, ValueError):
        pass
    return None


def _smallest_quota(path: str) -> float | None:
    """The least of the quotas of a group and of all above it."""
    found = []
    while True:
        try:
            with open(f"/sys/fs/cgroup{path}/cpu.max", encoding="ascii") as file:
                limit, period = file.read().split()
            if limit != "max":
                found.append(int(limit) / int(period))
        except (OSError, ValueError):
            pass
        if path in ("", "/"):
            return min(found, default=None)
        path = os.path.dirname(path)


def _version_1_quota(folder: str) -> float | None:
    with open(f"{folder}/cpu.cfs_quota_us", encoding="ascii") as file:
        limit = int(file.read())
    with open(f"{folder}/cpu.cfs_period_us", encoding="ascii") as file:
        period = int(file.read())
    return limit / period if limit > 0 else None


@dataclass(frozen=True, slots=True)
class Where:
    """What a command line says of where the server is. A key needs no file, a file needs no key."""

    host: str | None
    port: int | None
    key: str | None
    server_dir: str | None
    access_file: str | None
    passphrase_file: str | None

    @classmethod
    def of(cls, parsed: Parsed) -> "Where":
        """As the options and the environment have it."""
        access_file, server_dir = parsed.text("--access-file"), parsed.text("--server-dir")
        key = parsed.text("--auth")
        named = "--access-file" if access_file is not None else "--server-dir"
        if access_file is None and server_dir is None:
            key = os.environ.get("HYPERSHELL_AUTH") if key is None else key
        elif key is not None:
            raise parsed.error(f"-k and {named} cannot be used together")
        if key == "":
            raise parsed.error(
                "the key is empty", "give a key with -k or HYPERSHELL_AUTH, or neither"
            )
        port = parsed.whole("--port", default=0, lowest=1, highest=65535)
        return cls(
            host=parsed.text("--host"),
            port=port or None,
            key=key,
            server_dir=server_dir,
            access_file=access_file,
            passphrase_file=parsed.text("--passphrase-file"),
        )

    def find(self) -> tuple[str, int, bytes]:
        """Host, port and secret of the worker plane; NoServer if the file is not there (yet)."""
        from hypershell.access.keys import WORKER, plane_secret

        if self.key is not None:
            secret = plane_secret(self.key, WORKER)
            return self.host or "localhost", self.port or DEFAULT_PORT, secret
        from hypershell.app.locate import place_of

        place = place_of(self.server_dir, self.access_file, self.passphrase_file)
        door, _ = place.endpoint(WORKER, "hyper-shell client")
        return self.host or door.host, self.port or door.port, plane_secret(door.key, WORKER)

    def ask_passphrase(self) -> None:
        """Ask on a terminal for the passphrase, if the file is there and sealed with one.

        The client itself runs where it cannot read from the terminal.
        """
        given = self.key or self.passphrase_file or os.environ.get("HYPERSHELL_PASSPHRASE")
        if given or sys.stdin is None or not sys.stdin.isatty():
            return
        from hypershell.app.locate import place_of

        place = place_of(self.server_dir, self.access_file, None)
        try:
            if not place.is_sealed_by_passphrase():
                return
        except HyperShellError:
            return  # the client says it, once it has waited
        import getpass

        os.environ["HYPERSHELL_PASSPHRASE"] = getpass.getpass("Passphrase of the access file: ")


def _supervise(settings: dict[str, Any], where: Where) -> int:
    def be_client(supervisor_pipe: int) -> int:
        from hypershell.cli.main import Debugging, explain, leave
        from hypershell.client.main import run_client

        try:
            leave(run_client(settings, where.find, supervisor_pipe))
        except Exception as error:
            if Debugging.on:
                raise
            leave(explain(error))

    def leave(client_id: str, reason: str) -> None:
        from hypershell.client.main import take_leave

        take_leave(where.find, client_id, reason)

    from hypershell.client.supervisor import Supervisor

    return Supervisor(be_client, leave).run()
