"""`hyper-shell server`: hands out the lines of a file as tasks, and is found, asked and stopped."""

from hypershell.cli.options import parse
from hypershell.cli.texts import ADDRESS_OPTIONS, LOG_OPTIONS, PLACE_OPTIONS, TASK_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell server [start] [FILE] [options]

Read commands, one per line, from FILE or from standard input (`-` or no FILE),
and hand them out as tasks to the clients that join. Blank lines and lines that
begin with # are skipped. The server ends when the input has ended and every
task has finished. With --forever, or as `server start` without FILE, it runs
the unfinished tasks in its task database and every task that is submitted,
until it is stopped.

Other commands:
  server stop             stop a server, its clients and their tasks
  server info             show a server, its tasks and its clients
  server wait             wait until a server answers
  server generate-access  make an access file before the server starts

{TASK_OPTIONS}
{PLACE_OPTIONS}\
  --take-over             Start even though a server on another machine, which
                          cannot be asked, may be using the directory.
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

{PLACE_OPTIONS}
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

{PLACE_OPTIONS}
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

{PLACE_OPTIONS}
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
files of their own, one for running tasks and one for submitting them.

Access options:
  --worker-port NUM       Port for clients.
  -p NUM, --port NUM      The same as --worker-port.
  --client-port NUM       Port for commands such as submit, list and server
                          stop.
  --host NAME             The host of both ports. The default is localhost.
  --worker-host NAME      The host of the worker port, if it differs from
                          that of the other.
  --client-host NAME      The host of the client port, if it differs from
                          that of the other.
  --worker-file FILE      Also write the part for clients to FILE.
  --client-file FILE      Also write the part for commands to FILE.
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


def run(arguments: list[str]) -> int:
    """Run a server, or ask something of one; the exit status."""
    parsed = parse(USAGE, "server", arguments, WORDS)
    if parsed is None:
        return 0
    if parsed.word:
        from hypershell.cli.verbs.server_questions import ASK

        return ASK[parsed.word](parsed)
    name = parsed.text("FILE")
    if name in (*WORDS, "start"):
        hint = f"if you mean a file of that name, write ./{name}"
        raise parsed.error(f"`server {name}` is a command of its own", hint)
    from hypershell.app.serve import serve

    return serve(parsed)
