"""`hyper-shell client`: runs tasks for a server on this machine."""

import os
from typing import TYPE_CHECKING

from hypershell.cli.offer_options import offer_from
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
  --walltime DUR        Be gone after DUR, such as 90, 10m or 1h30m: take no
                        task that may not finish before, by its --task-timeout
                        or --expect. In a job of Slurm or Torque the default is
                        the end of the job.
  --max-tasks NUM       Leave after NUM tasks.
  --leave-before SEC    Stop what runs and leave SEC seconds before that. The
                        default is 60, or a tenth of DUR if that is less, but
                        at least as long as stopping tasks may take.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
{RUN_OPTIONS}  --gpus NUM                 The same as --client-gpus.
  --resource NAME=NUM        The same as --client-resource. May be repeated.

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
        ends_at=_end_from(parsed),
        leave_before=_leave_before_from(parsed),
        max_tasks=parsed.whole("--max-tasks", default=0, lowest=1) or None,
    )
    return JoinOptions(client, _location_from(parsed))


def run_options_from(parsed: Parsed) -> "ClientOptions":
    """How tasks are to be run, which `cluster` says as well; UsageError."""
    from hypershell.client.options import ClientOptions

    offer, gpus = offer_from(parsed)
    return ClientOptions(
        slots=_slots_from(parsed),
        offer=offer,
        gpus=gpus,
        pins=parsed.flag("--pin"),
        shell=parsed.text("--shell") or "",
        prologue=prologue_from(parsed),
        nice=parsed.whole("--nice", default=0, lowest=-20, highest=19),
        out_path=parsed.text("--output"),
        err_path=parsed.text("--errors"),
    )


def prologue_from(parsed: Parsed) -> str | None:
    """The full path of the file that is sourced before each task, if one is."""
    path = parsed.text("--prologue")
    return None if path is None else os.path.abspath(path)


def _end_from(parsed: Parsed) -> float:
    """The boot time at which the client must be gone; UsageError."""
    import math

    from hypershell.core.units import read_duration
    from hypershell.runtime import clock
    from hypershell.runtime.wall_time import job_seconds_left

    text = parsed.text("--walltime")
    if text is None:
        left = job_seconds_left(os.environ)
        return math.inf if left is None else clock.boottime() + left
    try:
        seconds = read_duration(text)
    except ValueError as error:
        raise parsed.error(f"--walltime {text!r}: {error}") from None
    if seconds <= 0:
        raise parsed.error(f"--walltime must be above 0, not {text!r}")
    return clock.boottime() + seconds


def _leave_before_from(parsed: Parsed) -> float | None:
    if parsed.text("--leave-before") is None:
        return None
    return parsed.seconds("--leave-before", default=0)


def _slots_from(parsed: Parsed) -> int:
    """How many tasks to run at a time; UsageError."""
    number = parsed.whole("--num-threads", "--jobs", default=1, lowest=0, highest=100_000)
    if number:
        return number
    from hypershell.runtime.machine import allocated_cores

    return allocated_cores(os.environ)


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
