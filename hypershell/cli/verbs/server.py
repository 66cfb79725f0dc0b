"""`hyper-shell server`: hands out the lines of a file as tasks, and is found, asked and stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.sort_option import Sort, sort_from
from hypershell.cli.texts import (
    ADDRESS_OPTIONS,
    INPUT_OPTIONS,
    LOG_OPTIONS,
    PLACE_OPTIONS,
    RUN_PLACE_OPTION,
    TASK_OPTIONS,
)

if TYPE_CHECKING:
    from hypershell.app.access_files import GenerateOptions
    from hypershell.app.locate import ServerLocation
    from hypershell.app.serve import ServeOptions

USAGE = f"""\
Usage:
  hyper-shell server [start] [FILE...] [options] [-- WORD...] [::: ARG...]
                     [:::+ LINK...] [:::: PATH...] [::::+ PATHS...]

Read commands, one per line, from FILE or from standard input (`-` or no FILE),
and hand them out as tasks to the clients that join. Blank lines and lines that
begin with # are skipped. With a template, each record of the input, blank or
not, makes a command. The server ends when the input has ended and every
task has finished. With --forever, or as `server start` without FILE, it runs
the unfinished tasks in its task database and every task that is submitted,
until it is stopped.

Other commands:
  server stop             stop a server, its clients and their tasks
  server info             show a server, its tasks and its clients
  server wait             wait until a server answers
  server generate-access  make an access file before the server starts

{INPUT_OPTIONS}
{TASK_OPTIONS}
{PLACE_OPTIONS}\
  --take-over             Start even if a server on another machine, which
                          cannot be checked from here, may be using the
                          directory.
  --forever               Run unfinished and submitted tasks until stopped.

{ADDRESS_OPTIONS}\
  --client-port NUM     Port for commands such as submit, list and server stop.
                        The default is any free one.
  --host NAME           The name by which other machines reach this server, for
                        the access file. If it is not a loopback name and -H is
                        not given, the server listens on all addresses.

{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server tasks.txt -f failed.txt

  $ hyper-shell server --restart -f failed.txt

  $ hyper-shell server tasks.txt --resume -f failed.txt

  $ hyper-shell server start --host node1 --server-dir /shared/farm

  $ hyper-shell server tasks.txt --print | hyper-shell server - --server-dir d2
"""

_STOP = f"""\
Usage:
  hyper-shell server stop [options]

Stop the server of a directory, its clients and their tasks, and return when the
server has ended.

Stop options:
  --drain                 Let running tasks finish first.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server stop

  $ hyper-shell server stop --drain --server-dir /shared/farm
"""

_INFO = f"""\
Usage:
  hyper-shell server info [options]

Show the server of a directory, its tasks and its clients.

Info options:
  --json                  Print JSON.
  --sort FIELD            Order clients by a field of the JSON, such as done,
                          from low to high; FIELD:desc is from high to low.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server info

  $ hyper-shell server info --json | jq .tasks
"""

_WAIT = f"""\
Usage:
  hyper-shell server wait [options]

Return as soon as the server of a directory answers.

Wait options:
  --timeout SEC           Give up after SEC seconds. The default is 60.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server wait --server-dir /shared/farm --timeout 600
"""

_GENERATE_ACCESS = """\
Usage:
  hyper-shell server generate-access FILE [options]

Make an access file before the server starts: the hosts, ports and keys that a
server and its clients read with --access-file. Parts of it can be written to
separate files, one for running tasks and one for submitting them.

Access options:
  --worker-port NUM       Port for workers (`hyper-shell client`).
  -p NUM, --port NUM      The same as --worker-port.
  --client-port NUM       Port for commands such as submit, list and server
                          stop.
  --host NAME             The host of both ports. The default is localhost.
  --worker-host NAME      The host of the worker port, if it is not --host.
  --client-host NAME      The host of the client port, if it is not --host.
  --worker-file FILE      Also write the worker part to FILE, for
                          `hyper-shell client`.
  --client-file FILE      Also write the client part to FILE, for submit, list
                          and the other commands.
  --passphrase-file FILE  Seal the files with the passphrase in FILE. Without
                          it, HYPERSHELL_PASSPHRASE is used, or your seal key.

Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server generate-access full.json -p 1234 --client-port 6789
"""

WORDS = {
    "stop": _STOP,
    "info": _INFO,
    "wait": _WAIT,
    "generate-access": _GENERATE_ACCESS,
}
"""The usage texts of the commands that have a second word, by that word."""

CLIENT_FIELDS = (
    *("id", "host", "pid", "slots", "state", "holds", "running", "done", "failed"),
    *("last_heard", "load", "memory_percent"),
)
"""What `server info` tells of each client."""

_WAIT_SECONDS = 60.0

_DECIDED_BY_FILE = {"--port", "--worker-port", "--client-port", "--auth", "--host"}
"""Options that contradict an access file, which has all of this."""

_HOST_OPTIONS = {"worker": "--worker-host", "client": "--client-host"}
_FILE_OPTIONS = {"worker": "--worker-file", "client": "--client-file"}


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
    sort: Sort


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """Which server to wait for, and how long."""

    location: "ServerLocation"
    seconds: float


def options_from(
    parsed: Parsed,
) -> "ServeOptions | StopOptions | InfoOptions | WaitOptions | GenerateOptions":
    """What the word after `server` takes; UsageError."""
    from hypershell.cli.common_options import location_from

    match parsed.word:
        case "stop":
            return StopOptions(location_from(parsed), parsed.flag("--drain"))
        case "info":
            return InfoOptions(
                location_from(parsed), parsed.flag("--json"), sort_from(parsed, CLIENT_FIELDS)
            )
        case "wait":
            seconds = parsed.seconds("--timeout", default=_WAIT_SECONDS)
            return WaitOptions(location_from(parsed), seconds)
        case "generate-access":
            return _generate_options(parsed)
        case _:
            return _serve_options(parsed)


def _serve_options(parsed: Parsed) -> "ServeOptions":
    from hypershell.app.planes import PlaneOptions
    from hypershell.app.serve import ServeOptions
    from hypershell.cli.common_options import passphrases_from
    from hypershell.cli.meant import meant_by_server_word
    from hypershell.cli.server_options import (
        database_options_from,
        input_options_from,
        keep_runs_from,
        key_from,
        mode_from,
        port_from,
        server_options_from,
    )

    name = next(iter(parsed.words("FILE")), None)
    if name in (*WORDS, "start"):
        hint = f"to read a file of that name, write ./{name}"
        raise parsed.error(f"`server {name}` is a separate command", hint)
    if name is not None and (hint := meant_by_server_word(name, ["start", *WORDS])):
        raise parsed.error(f"there is no file {name}", hint)
    access_file = parsed.text("--access-file")
    if access_file is not None and (given := parsed.given() & _DECIDED_BY_FILE):
        raise parsed.error(f"{min(given)} and --access-file cannot be used together")
    mode = mode_from(parsed)
    return ServeOptions(
        run=server_options_from(parsed, mode),
        inputs=input_options_from(parsed, mode),
        database=database_options_from(parsed, mode),
        planes=PlaneOptions(
            host=parsed.host("--host"),
            bind_host=parsed.host("--bind"),
            worker_port=port_from(parsed, "--port", "--worker-port"),
            client_port=port_from(parsed, "--client-port"),
            key=key_from(parsed),
        ),
        server_dir=parsed.text("--server-dir"),
        access_file=access_file,
        passphrases=passphrases_from(parsed),
        take_over=parsed.flag("--take-over"),
        keep_runs=keep_runs_from(parsed),
        is_dry_run=parsed.flag("--dry-run"),
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
        raise parsed.error(f"both ports are {worker_port}; they must differ")
    addresses, parts = {}, {}
    for plane, port in ((CLIENT, client_port), (WORKER, worker_port)):
        given = (parsed.host(_HOST_OPTIONS[plane]), parsed.host("--host"), "localhost")
        addresses[plane] = (next(host for host in given if host is not None), port)
        if (part := parsed.text(_FILE_OPTIONS[plane])) is not None:
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

            stop_server(location, drain=drain)
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
    if options.is_dry_run:
        from hypershell.cli.dry_run import print_commands

        return print_commands(options.inputs.source)
    from hypershell.app.serve import serve
    from hypershell.cli.prompts import say_that_lines_are_read

    if options.inputs.is_stdin_by_default:
        say_that_lines_are_read()
    return serve(options)


def _show(options: InfoOptions) -> int:
    from hypershell.app.server_control import server_facts

    facts = server_facts(options.location)
    if "clients" in facts:
        facts["clients"] = options.sort.rows(
            facts["clients"], lambda client: client.get(options.sort.field)
        )
    if options.json:
        import json

        print(json.dumps(facts, indent=2))
    else:
        from hypershell.cli.output.server_view import show_server

        show_server(facts)
    return 0
