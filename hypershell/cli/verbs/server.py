"""`hyper-shell server`: hands out the lines of a file as tasks, and is found, asked and stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import ADDRESS_OPTIONS, LOG_OPTIONS, PLACE_OPTIONS, TASK_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.access_files import GenerateOptions
    from hypershell.app.locate import ServerLocation
    from hypershell.app.serve import ServeOptions

USAGE = f"""\
Usage:
  hyper-shell server (stop | info | wait) [options]
  hyper-shell server generate-access FILE [options]
  hyper-shell server [start] [FILE] [options]

Read commands, one a line, from FILE or from standard input (- or no FILE), and hand them out as
tasks to the clients that join. Blank lines and lines that begin with # are skipped. The server ends
when the input has ended and every task is final. With --forever, or as `server start` without FILE,
it runs what is unfinished in its task database, and what is submitted, until it is stopped.

`stop` ends the server of a directory, its clients and what they run, and returns when it is gone;
`info` shows it, its tasks and its clients; `wait` returns as soon as it answers. `generate-access`
makes an access file beforehand, which servers and clients use with --access-file.

{TASK_OPTIONS}
{PLACE_OPTIONS}\
  --take-over             Start although another machine, out of reach, may hold the directory.
  --forever               Run what is unfinished or submitted until stopped.

{ADDRESS_OPTIONS}\
  --client-port NUM     Port for people and scripts (submit, info, stop); any free one if not
                        given.
  --host NAME           The name by which others reach this server, for the access file. One that
                        is not loopback makes it listen on all addresses, unless -H says where.

Stop info wait and access options:
  --drain             stop: let what runs finish.
  --json              info: print JSON.
  --timeout SEC       wait: give up after SEC seconds. The default is 60.
  --client-file FILE  generate-access: write the part for people and scripts to FILE as well.
  --worker-file FILE  generate-access: write the part for clients to FILE as well.
  --client-host NAME  generate-access: the host of the client port, if not that of --host.
  --worker-host NAME  generate-access: the host of the worker port, if not that of --host.

{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server tasks.txt -f failed.txt

  $ hyper-shell server --restart -f failed.txt

  $ hyper-shell server tasks.txt --resume -f failed.txt

  $ hyper-shell server start --host node1 --server-dir /shared/farm

  $ hyper-shell server tasks.txt --print | hyper-shell server - --server-dir /tmp/second

  $ hyper-shell server stop --drain

  $ hyper-shell server generate-access full.json --client-port 6789 --worker-port 1234
"""

_EVERYWHERE = {"--server-dir", "--access-file", "--passphrase-file", "--help"}
_LOGGING = {"--verbose", "--quiet", "--log-file", "--log-format"}
_PORTS = {"--port", "--worker-port", "--client-port"}
_HOSTS = {"--host", "--client-host", "--worker-host"}
_REACH = _EVERYWHERE | _LOGGING
_WAIT_SECONDS = 60.0

_DECIDED_BY_FILE = {"--port", "--worker-port", "--client-port", "--auth", "--host"}
"""What an access file that was prepared says, and no option may."""

FITTING: dict[str, set[str]] = {
    "stop": _REACH | {"--drain"},
    "info": _REACH | {"--json"},
    "wait": _REACH | {"--timeout"},
    "generate-access": {"--passphrase-file", "--help", "--client-file", "--worker-file"}
    | _PORTS
    | _HOSTS,
}
"""The options that go with a word after `server`; with `start`, all but those of the others."""

_NOT_FOR_START = {"--drain", "--json", "--timeout", "--client-file", "--worker-file"} | (
    _HOSTS - {"--host"}
)


@dataclass(frozen=True, slots=True)
class StopOptions:
    """Which server to stop, and whether what runs is finished first."""

    location: "ServerLocation"
    drain: bool


@dataclass(frozen=True, slots=True)
class InfoOptions:
    """Which server to show, and whether as JSON."""

    location: "ServerLocation"
    json: bool


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """Which server to wait for, and how long."""

    location: "ServerLocation"
    seconds: float


def options_from(
    parsed: Parsed,
) -> "ServeOptions | StopOptions | InfoOptions | WaitOptions | GenerateOptions":
    """What the word after `server` takes; UsageError."""
    word = next((word for word in FITTING if parsed.flag(word)), "start")
    _refuse_foreign(parsed, word)
    from hypershell.cli.common_options import location_from

    match word:
        case "stop":
            return StopOptions(location_from(parsed), parsed.flag("--drain"))
        case "info":
            return InfoOptions(location_from(parsed), parsed.flag("--json"))
        case "wait":
            seconds = parsed.seconds("--timeout", default=_WAIT_SECONDS)
            return WaitOptions(location_from(parsed), seconds)
        case "generate-access":
            return _generate_options(parsed)
        case _:
            return _serve_options(parsed)


def _refuse_foreign(parsed: Parsed, word: str) -> None:
    """UsageError for an option that does nothing for this word."""
    given = parsed.given()
    foreign = given & _NOT_FOR_START if word == "start" else given - FITTING[word]
    if foreign:
        what = "a server that starts" if word == "start" else f"`server {word}`"
        raise parsed.error(f"{min(foreign)} does not go with {what}")
    if word == "start" and parsed.text("FILE") in (*FITTING, "start"):
        name = parsed.text("FILE")
        raise parsed.error(f"{name} is a word of this verb, not a FILE", f"write it as ./{name}")


def _serve_options(parsed: Parsed) -> "ServeOptions":
    from hypershell.app.planes import PlaneOptions
    from hypershell.app.serve import ServeOptions
    from hypershell.cli.common_options import passphrases_from
    from hypershell.cli.server_options import (
        database_options_from,
        input_options_from,
        key_from,
        mode_from,
        port_from,
        server_options_from,
    )

    access_file = parsed.text("--access-file")
    if access_file is not None and (given := parsed.given() & _DECIDED_BY_FILE):
        raise parsed.error(f"{min(given)} and --access-file exclude each other")
    mode = mode_from(parsed)
    return ServeOptions(
        run=server_options_from(parsed, mode),
        inputs=input_options_from(parsed, mode),
        database=database_options_from(parsed, mode),
        planes=PlaneOptions(
            host=parsed.text("--host"),
            bind_host=parsed.text("--bind"),
            worker_port=port_from(parsed, "--port", "--worker-port"),
            client_port=port_from(parsed, "--client-port"),
            key=key_from(parsed),
        ),
        server_dir=parsed.text("--server-dir"),
        access_file=access_file,
        passphrases=passphrases_from(parsed),
        take_over=parsed.flag("--take-over"),
    )


def _generate_options(parsed: Parsed) -> "GenerateOptions":
    from hypershell.access.keys import CLIENT, WORKER
    from hypershell.app.access_files import GenerateOptions
    from hypershell.app.locate import Passphrases
    from hypershell.cli.server_options import port_from

    worker_port = port_from(parsed, "--port", "--worker-port", lowest=1)
    client_port = port_from(parsed, "--client-port", lowest=1)
    if worker_port is None or client_port is None:
        raise parsed.error("generate-access needs both --worker-port and --client-port")
    if worker_port == client_port:
        raise parsed.error(f"both ports are {worker_port}")
    addresses, parts = {}, {}
    for plane, port in ((CLIENT, client_port), (WORKER, worker_port)):
        given = (parsed.text(f"--{plane}-host"), parsed.text("--host"), "localhost")
        addresses[plane] = (next(host for host in given if host is not None), port)
        if (part := parsed.text(f"--{plane}-file")) is not None:
            parts[plane] = Path(part)
    passphrases = Passphrases(parsed.text("--passphrase-file"))
    return GenerateOptions(Path(parsed.text("FILE") or ""), addresses, parts, passphrases)


def run(
    options: "ServeOptions | StopOptions | InfoOptions | WaitOptions | GenerateOptions",
) -> int:
    """Run a server, ask something of one, or make an access file; the exit status."""
    match options:
        case StopOptions(location, drain):
            from hypershell.app.server_control import stop_server

            stop_server(location, drain)
            return 0
        case InfoOptions():
            return _show(options)
        case WaitOptions(location, seconds):
            from hypershell.app.server_control import wait_for_server

            wait_for_server(location, seconds)
            return 0
    from hypershell.app.access_files import GenerateOptions, generate_access

    if isinstance(options, GenerateOptions):
        generate_access(options)
        return 0
    from hypershell.app.serve import serve
    from hypershell.cli.prompts import say_that_lines_are_read

    if options.inputs.reads_stdin:
        say_that_lines_are_read()
    return serve(options)


def _show(options: InfoOptions) -> int:
    from hypershell.app.server_control import server_facts

    facts = server_facts(options.location)
    if options.json:
        import json

        print(json.dumps(facts, indent=2))
    else:
        from hypershell.cli.output.server_view import server_text

        print(server_text(facts), end="")
    return 0
