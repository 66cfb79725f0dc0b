"""`hyper-shell submit`: gives a server, or the next one, more tasks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS, NEW_TASK_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS, RUN_PLACE_OPTION, SUBMIT_INPUT_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.submit import Submission

USAGE = f"""\
Usage:
  hyper-shell submit [options] -- ARG...
  hyper-shell submit [options] [::: VALUE...] [:::+ LINK...] [:::: PATH...]
                     [::::+ PATHS...]

Give a server tasks to run: one command after `--`, the lines of a file (-f), or
what a --template makes of an input. A single ARG is used as the line without
change; several are quoted and joined.
Prints the ids of the tasks. When no server runs in the directory, the tasks go
to its task database, and the next `hyper-shell server --restart` or
`server --forever` runs them.

Submit options:
  -f FILE, --file FILE    Read lines from FILE as `server FILE` does; `-` is
                          standard input.
  --json                  Print the ids as JSON.

{SUBMIT_INPUT_OPTIONS}
{NEW_TASK_OPTIONS}
{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell submit -- ./simulate --seed 7

  $ hyper-shell submit -- 'sort data.txt | uniq -c > counts.txt'

  $ hyper-shell submit -f more-tasks.txt --server-dir /shared/farm

  $ hyper-shell submit --template './simulate --seed {{}}' --array 1-100

  $ hyper-shell submit --tag site:A --priority 5 -r 2 -- ./simulate --site A
"""


@dataclass(frozen=True, slots=True)
class SubmitVerbOptions:
    """Lines to submit, and whether their ids are printed as JSON."""

    submission: "Submission"
    json: bool
    is_dry_run: bool


def options_from(parsed: Parsed) -> SubmitVerbOptions:
    """What to submit; UsageError."""
    from hypershell.app.submit import Submission
    from hypershell.cli.common_options import source_from
    from hypershell.cli.input_options import input_from, named_inputs
    from hypershell.cli.selection_options import line_from, submit_options_from

    has_input = bool(named_inputs(parsed, "--file")) or parsed.text("--template") is not None
    if has_input and parsed.words("ARG"):
        raise parsed.error("a command after `--` and an input cannot be used together")
    submission = Submission(
        source=source_from(parsed, adds=True),
        submit_options=submit_options_from(parsed),
        input=input_from(parsed, "--file") if has_input else None,
        line=b"" if has_input else line_from(parsed),
    )
    return SubmitVerbOptions(submission, parsed.flag("--json"), parsed.flag("--dry-run"))


def run(options: SubmitVerbOptions) -> int:
    """Submit tasks and print their ids; the exit status."""
    if options.is_dry_run:
        from hypershell.cli.dry_run import print_commands

        return print_commands(options.submission.input)
    from hypershell.app.submit import submit
    from hypershell.cli.hints import NEXT_RUN, fitted
    from hypershell.cli.output.rows import warn

    notes: list[str] = []
    ids: list[int] = []
    try:
        for accepted in submit(options.submission, warn, lambda: notes.append(NEXT_RUN)):
            ids += accepted
    finally:
        # Also when it broke off: these are at the server.
        _print_ids(ids, options.json)
    for note in notes:
        warn(fitted(note.format("it" if len(ids) == 1 else "them")))
    return 0


def _print_ids(ids: list[int], as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(ids))
    elif ids:
        print("\n".join(map(str, ids)))
