"""`hyper-shell server`: hands out the lines of a file as tasks, and is found, asked and stopped."""

from hypershell.cli.options import Parsed, parse
from hypershell.cli.texts import ADDRESS_OPTIONS, LOG_OPTIONS, PLACE_OPTIONS, TASK_OPTIONS

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


def run(arguments: list[str]) -> int:
    """Run a server, or ask something of one; the exit status."""
    parsed = parse(USAGE, "server", arguments)
    if parsed is None:
        return 0
    word = next((word for word in FITTING if parsed.flag(word)), "start")
    _refuse_foreign(parsed, word)
    if word == "start":
        from hypershell.app.serve import serve

        return serve(parsed)
    from hypershell.cli.verbs.server_questions import ASK

    return ASK[word](parsed)


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
