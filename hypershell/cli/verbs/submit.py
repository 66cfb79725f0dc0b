"""`hyper-shell submit`: gives a server, or the next one, more tasks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS, NEW_TASK_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.submit import Submission

USAGE = f"""\
Usage:
  hyper-shell submit [options] -- ARG...
  hyper-shell submit -f FILE [options]

Give a server tasks to run: one command after `--`, or the lines of a file. A
single ARG is used as the line without change; several are quoted and joined.
Prints the ids of the tasks. When no server runs in the directory, the tasks go
to its task database, and the next `hyper-shell server --restart` or
`server --forever` runs them.

Submit options:
  -f FILE, --file FILE    Read lines from FILE as `server FILE` does; `-` is
                          standard input.
  --json                  Print the ids as JSON.

{NEW_TASK_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell submit -- ./simulate --seed 7

  $ hyper-shell submit -- 'sort data.txt | uniq -c > counts.txt'

  $ hyper-shell submit -f more-tasks.txt --server-dir /shared/farm

  $ hyper-shell submit --tag site:A --priority 5 -r 2 -- ./simulate --site A
"""


@dataclass(frozen=True, slots=True)
class SubmitVerbOptions:
    """Lines to submit, and whether their ids are printed as JSON."""

    submission: "Submission"
    json: bool


def options_from(parsed: Parsed) -> SubmitVerbOptions:
    """What to submit; UsageError."""
    from hypershell.app.submit import Submission
    from hypershell.cli.common_options import source_from
    from hypershell.cli.selection_options import line_from, submit_options_from

    path = parsed.text("--file")
    submission = Submission(
        source=source_from(parsed),
        submit_options=submit_options_from(parsed),
        path=path,
        line=line_from(parsed) if path is None else b"",
    )
    return SubmitVerbOptions(submission, parsed.flag("--json"))


def run(options: SubmitVerbOptions) -> int:
    """Submit tasks and print their ids; the exit status."""
    from hypershell.app.submit import submit
    from hypershell.cli.output.rows import warn

    ids: list[int] = []
    try:
        for accepted in submit(options.submission, warn):
            ids += accepted
    finally:
        # Also when it broke off: these are at the server.
        _print_ids(ids, options.json)
    return 0


def _print_ids(ids: list[int], as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(ids))
    elif ids:
        print("\n".join(map(str, ids)))
