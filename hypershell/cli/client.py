"""`hyper-shell client`: runs tasks for a server on this machine."""

import os
import sys

from hypershell.cli.options import Parsed, parse
from hypershell.cli.texts import DEFAULT_PORT, LOG_OPTIONS, RUN_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell client [options]

Join a server and run its tasks on this machine, until the server says that all is done.

Server options:
  -H ADDR, --host ADDR  Where the server is [default: localhost].
  -p NUM, --port NUM    Its port for clients. The default is 50001.
  -k KEY, --auth KEY    Its key. Better in HYPERSHELL_AUTH: a command line can be read by others.
  --wait SEC            How long to wait for a server that is not there yet [default: 60].
  --delay-start SEC     Wait SEC seconds before joining; -SEC, a random time up to SEC [default: 0].
  -T SEC, --timeout SEC
                        Leave when there was nothing to do for SEC seconds.

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
    key = parsed.text("--auth") or os.environ.get("HYPERSHELL_AUTH")
    if not key:
        raise parsed.error("no key was given", "give the key by HYPERSHELL_AUTH or -k")
    from hypershell.cli.logs import set_up

    settings = _settings(parsed)
    set_up(parsed)
    return _supervise(settings, key)


def _settings(parsed: Parsed) -> dict[str, object]:
    """What `ClientOptions` takes but the key, checked; heavy imports come later, in the child."""
    timeout = parsed.text("--timeout")
    shell = parsed.text("--shell") or ""
    return {
        "host": parsed.text("--host"),
        "port": parsed.whole("--port", default=DEFAULT_PORT, lowest=1, highest=65535),
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


def _supervise(settings: dict[str, object], key: str) -> int:
    def be_client(tidings: int) -> int:
        from hypershell.cli.main import explain
        from hypershell.client.start import run_client

        try:
            return run_client(settings, key, tidings)
        except Exception as error:
            if "--debug" in sys.argv:
                raise
            return explain(error)

    def leave(client_id: str, reason: str) -> None:
        from hypershell.client.start import take_leave

        take_leave(settings, key, client_id, reason)

    from hypershell.client.supervisor import Supervisor

    return Supervisor(be_client, leave).run()
