"""The verbs: where each one lives and what it is for, in one line.

The program, its overview, the man pages and the completions all read this table. A new verb is one
more row here, and one module with

- `USAGE`, the text that is parsed and shown,
- `options_from(parsed)`, which checks a command line and makes one frozen value of it,
- `run(options)`, which does it and returns the exit status.
"""

from typing import NamedTuple

_MODULES = "hypershell.cli.verbs."


class Verb(NamedTuple):
    """One verb."""

    name: str
    module: str
    summary: str


_ROWS = {
    "server": "hand out the lines of a file as tasks, capture failures",
    "client": "run tasks for a server on this machine",
    "cluster": "run a server and its clients on this machine together",
    "submit": "give a server, or the next one, more tasks",
    "run": "run one command on the farm, and end as it does",
    "list": "show tasks, or count them",
    "info": "show one task and its attempts",
    "wait": "wait until tasks are final",
    "cancel": "cancel tasks that wait or run",
    "retry": "run tasks again that failed or were cancelled",
    "failures": "show why tasks failed, by cause",
    "delete": "delete tasks",
    "initdb": "make the tables of a task database in PostgreSQL",
    "db": "check, shrink or export a task database",
    "access": "show what an access file opens, or seal it anew",
    "completion": "print the completion script for a shell",
}

VERBS = {name: Verb(name, _MODULES + name, summary) for name, summary in _ROWS.items()}
"""The verbs by name, in the order in which help lists them."""
