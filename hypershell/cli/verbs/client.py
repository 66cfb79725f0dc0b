"""`hyper-shell client`: runs tasks for a server on this machine."""

import os
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import LOG_OPTIONS, PLACE_OPTIONS, RUN_OPTIONS, RUN_PLACE_OPTION
from hypershell.core import environment

if TYPE_CHECKING:
    from hypershell.app.join import JoinOptions
    from hypershell.app.locate import ServerLocation
    from hypershell.client.options import ClientOptions

USAGE = f"""\
Usage:
  hyper-shell client [options]

Join a server and run its tasks on this machine until the server has no more.
Without -k, the host, port and key come from the server directory or from an
access file.

Server options:
  -H ADDR, --host ADDR  Host of the server. The default is localhost, or the
                        host in the access file.
  -p NUM, --port NUM    Its port for workers. The default is 50001, or the port
                        in the access file.
  -k KEY, --auth KEY    Its key. Other users can read a command line, so set
                        HYPERSHELL_AUTH instead.
  --wait SEC            Wait up to SEC seconds for a server that has not started
                        yet, or that cannot be reached any more after the lease
                        has ended [default: 60].
  --delay-start SEC     Wait SEC seconds before joining; a negative number waits
                        a random time up to that [default: 0].
  -T SEC, --timeout SEC
                        Leave after SEC seconds without a task.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
{RUN_OPTIONS}
{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell client -H node1 -p 50001 -N 4

  $ hyper-shell client -N 0 --timeout 600
"""


def options_from(parsed: Parsed) -> "JoinOptions":
    """What the client is to do, and where its server is; UsageError, OutputsMixed."""
    from hypershell.app.join import JoinOptions
    from hypershell.app.named_files import check_files
    from hypershell.cli.common_options import named_outputs

    check_files(named_outputs(parsed))
    timeout = parsed.text("--timeout")
    client = run_options_from(parsed)._replace(
        wait=parsed.seconds("--wait", default=60),
        idle_timeout=None if timeout is None else parsed.seconds("--timeout", default=0),
        delay_start=parsed.seconds("--delay-start", default=0, lowest=-1e9),
    )
    return JoinOptions(client, _location_from(parsed))


def run_options_from(parsed: Parsed) -> "ClientOptions":
    """How tasks are to be run, which `cluster` says as well; UsageError."""
    from hypershell.client.options import ClientOptions

    return ClientOptions(
        slots=_slots_from(parsed),
        shell=parsed.text("--shell") or "",
        out_path=parsed.text("--output"),
        err_path=parsed.text("--errors"),
    )


def _slots_from(parsed: Parsed) -> int:
    """How many tasks to run at a time; UsageError."""
    number = parsed.whole("--num-threads", "--jobs", default=1, lowest=0, highest=100_000)
    if number:
        return number
    from hypershell.runtime.cores import usable_cores

    return usable_cores()


def _location_from(parsed: Parsed) -> "ServerLocation":
    """Where the server is. A place that was named comes before a key of the environment."""
    from hypershell.app.locate import ServerLocation
    from hypershell.cli.common_options import passphrases_from
    from hypershell.cli.run_option import run_from

    access_file, server_dir = parsed.text("--access-file"), parsed.text("--server-dir")
    key = parsed.text("--auth")
    named = "--access-file" if access_file is not None else "--server-dir"
    if access_file is None and server_dir is None:
        key = os.environ.get(environment.AUTH) if key is None else key
    elif key is not None:
        raise parsed.error(f"-k and {named} cannot be used together")
    if key is not None and parsed.text("--run") is not None:
        raise parsed.error("--run needs a server directory, but -k or HYPERSHELL_AUTH is given")
    if key == "":
        raise parsed.error("the key is empty", "give a key with -k or HYPERSHELL_AUTH, or neither")
    return ServerLocation(
        server_dir=server_dir,
        access_file=access_file,
        passphrases=passphrases_from(parsed),
        run=run_from(parsed),
        host=parsed.host("--host"),
        port=parsed.whole("--port", default=0, lowest=1, highest=65535) or None,
        key=key,
        key_is_set=key is not None and parsed.text("--auth") is None,
    )


def run(options: "JoinOptions") -> int:
    """Run a client under its supervisor; the exit status."""
    from hypershell.app.join import join
    from hypershell.cli.explain import explained

    return join(options, explained)
