"""`hyper-shell cluster`: a server and its clients on this machine, in one command."""

from typing import TYPE_CHECKING

from hypershell.cli.offer_options import offer_words
from hypershell.cli.options import Parsed
from hypershell.cli.texts import (
    ADDRESS_OPTIONS,
    INPUT_OPTIONS,
    LOG_OPTIONS,
    RUN_OPTIONS,
    TASK_OPTIONS,
)

if TYPE_CHECKING:
    from hypershell.app.cluster import ClusterOptions
    from hypershell.client.options import ClientOptions

USAGE = f"""\
Usage:
  hyper-shell cluster [FILE...] [options] [-- WORD...] [::: ARG...]
                      [:::+ LINK...] [:::: PATH...] [::::+ PATHS...]

Run the lines of FILE, or of standard input (`-` or no FILE), as tasks on this
machine: a server and its clients in one command, which makes its own key and
port. The output of tasks goes to standard output. With --print it goes to
standard error, so that standard output has only the lines of failed tasks.

{RUN_OPTIONS}  --clients NUM              Clients to start, each with -N slots [default: 1].

{INPUT_OPTIONS}
{TASK_OPTIONS}
{ADDRESS_OPTIONS}\
  --server-dir DIR      The server directory, where other commands find this
                        server and where its task database is. The default is
                        HYPERSHELL_SERVER_DIR, or ~/.hyper-shell. If a server
                        is already running there, this run has a task database
                        of its own, and --run UID reaches it.

{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell cluster tasks.txt -N 8 -f failed.txt

  $ hyper-shell cluster --restart -N 8 -f failed.txt

  $ seq 1 100 | sed 's/^/sleep 0./' | hyper-shell cluster -N 0
"""


def options_from(parsed: Parsed) -> "ClusterOptions":
    """The server, its clients and what they run; UsageError, ShellUnusable."""
    from hypershell.app.cluster import ClusterOptions
    from hypershell.cli.server_options import (
        database_options_from,
        input_options_from,
        keep_runs_from,
        key_from,
        mode_from,
        port_from,
        server_options_from,
    )
    from hypershell.cli.verbs.client import run_options_from

    mode = mode_from(parsed)
    client = run_options_from(parsed)
    clients = parsed.whole("--clients", default=1, lowest=1, highest=1000)
    return ClusterOptions(
        run=server_options_from(parsed, mode),
        inputs=input_options_from(parsed, mode),
        database=database_options_from(parsed, mode),
        clients=clients,
        client=client,
        client_arguments=_client_arguments(parsed, client, clients),
        server_dir=parsed.text("--server-dir"),
        bind_host=parsed.host("--bind") or "localhost",
        port=port_from(parsed, "--port", "--worker-port") or 0,
        key=key_from(parsed),
        is_verbose=parsed.flag("--verbose"),
        keep_runs=keep_runs_from(parsed),
        is_dry_run=parsed.flag("--dry-run"),
    )


def _client_arguments(parsed: Parsed, client: "ClientOptions", clients: int) -> tuple[str, ...]:
    """The words that give each client its options."""
    from hypershell.client.tasks.shell import shell_of
    from hypershell.client.tasks.spawn import check_nice

    shell_of(client.shell, client.prologue)
    check_nice(client.nice)
    arguments = ["--shell", client.shell]
    if client.offer.limits_places:
        arguments += ["-N", str(client.slots)]
    if client.prologue is not None:
        arguments += ["--prologue", client.prologue]
    if client.nice:
        arguments += [f"--nice={client.nice}"]
    arguments += offer_words(parsed, clients)
    for name in ("--output", "--errors", "--log-file", "--log-format"):
        if (value := parsed.text(name)) is not None:
            arguments += [name, value]
    return (*arguments, "--verbose" if parsed.flag("--verbose") else "--quiet")


def run(options: "ClusterOptions") -> int:
    """Run a cluster; the exit status."""
    import logging

    if options.is_dry_run:
        from hypershell.cli.dry_run import print_commands

        return print_commands(options.inputs.source)
    from hypershell.app.cluster import run_cluster
    from hypershell.cli.prompts import say_that_lines_are_read

    if not options.is_verbose:
        logging.getLogger("hypershell.server").setLevel(logging.WARNING)
    if options.inputs.is_stdin_by_default:
        say_that_lines_are_read()
    return run_cluster(options)
