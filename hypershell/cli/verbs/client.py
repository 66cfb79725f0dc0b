"""`hyper-shell client`: runs tasks for a server on this machine."""

import os
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import LOG_OPTIONS, PLACE_OPTIONS, RUN_OPTIONS
from hypershell.core import environment

if TYPE_CHECKING:
    from hypershell.app.join import JoinOptions
    from hypershell.app.locate import ServerLocation

USAGE = f"""\
Usage:
  hyper-shell client [options]

Join a server and run its tasks on this machine, until the server says that all is done. Without -k
the server is found by its directory or an access file, and so are its key, host and port.

Server options:
  -H ADDR, --host ADDR  Where the server is. The default is localhost, or what the file says.
  -p NUM, --port NUM    Its port for clients. The default is 50001, or what the file says.
  -k KEY, --auth KEY    Its key. Better in HYPERSHELL_AUTH: a command line can be read by others.
  --wait SEC            How long to wait for a server that is not there yet [default: 60].
  --delay-start SEC     Wait SEC seconds before joining; -SEC, a random time up to SEC [default: 0].
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


def options_from(parsed: Parsed) -> "JoinOptions":
    """What the client is to do, and where its server is; UsageError."""
    from hypershell.app.join import JoinOptions
    from hypershell.client.options import ClientOptions

    timeout = parsed.text("--timeout")
    client = ClientOptions(
        slots=slots_from(parsed),
        wait=parsed.seconds("--wait", default=60),
        shell=parsed.text("--shell") or "",
        idle_timeout=None if timeout is None else parsed.seconds("--timeout", default=0),
        delay_start=parsed.seconds("--delay-start", default=0, lowest=-1e9),
        out_path=parsed.text("--output"),
        err_path=parsed.text("--errors"),
    )
    return JoinOptions(client, _location_from(parsed))


def slots_from(parsed: Parsed) -> int:
    """How many tasks to run at a time; UsageError."""
    spelled = "-j" if parsed.text("--jobs") is not None else "-N"
    name = "--jobs" if spelled == "-j" else "--num-threads"
    if spelled == "-j" and parsed.text("--num-threads") not in ("1", parsed.text("--jobs")):
        raise parsed.error("-N and -j contradict each other")
    number = parsed.whole(name, default=1, lowest=0, highest=100_000)
    if number:
        return number
    from hypershell.runtime.cores import usable_cores

    return usable_cores()


def _location_from(parsed: Parsed) -> "ServerLocation":
    """Where the server is. A place that was named comes before a key of the environment."""
    from hypershell.app.locate import ServerLocation
    from hypershell.cli.common_options import passphrases_from

    access_file, server_dir = parsed.text("--access-file"), parsed.text("--server-dir")
    key = parsed.text("--auth")
    named = "--access-file" if access_file is not None else "--server-dir"
    if access_file is None and server_dir is None:
        key = os.environ.get(environment.AUTH) if key is None else key
    elif key is not None:
        raise parsed.error(f"-k and {named} exclude each other")
    if key == "":
        raise parsed.error("the key is empty", "give -k or HYPERSHELL_AUTH a key, or none")
    return ServerLocation(
        server_dir=server_dir,
        access_file=access_file,
        passphrases=passphrases_from(parsed),
        host=parsed.text("--host"),
        port=parsed.whole("--port", default=0, lowest=1, highest=65535) or None,
        key=key,
    )


def run(options: "JoinOptions") -> int:
    """Run a client under its supervisor; the exit status."""
    from hypershell.app.join import join
    from hypershell.cli.explain import explained

    return join(options, explained)
