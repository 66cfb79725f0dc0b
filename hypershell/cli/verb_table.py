"""The verbs: where each one lives and what it is for, in one line.

The program, its overview, the man pages and the completions all read this table. A new verb is one
more row here, and one module with

- `USAGE`, the text that is parsed and shown,
- `options_from(parsed)`, which checks a command line and makes one frozen value of it,
- `run(options)`, which does it and returns the exit status.
"""

_MODULES = "hypershell.cli.verbs."


class Verb:
    """One verb. A plain class, as `--version` and `--help` do without `typing`."""

    __slots__ = ("module", "name", "summary")

    def __init__(self, name: str, module: str, summary: str) -> None:
        self.name = name
        self.module = module
        self.summary = summary


_ROWS = {
    "server": "hand out the lines of a file as tasks, report failures",
    "client": "run tasks for a server on this machine",
    "cluster": "run a server and its clients on this machine together",
    "submit": "give a server tasks to run",
    "run": "run one command as a task, and exit with its status",
    "list": "show tasks, or count them",
    "info": "show one task and its attempts",
    "wait": "wait until tasks have finished",
    "cancel": "cancel waiting or running tasks",
    "retry": "run failed or cancelled tasks again",
    "pause": "start no more tasks for now",
    "resume": "start tasks again after a pause",
    "set-slots": "change how many tasks a client runs at a time",
    "failures": "show why tasks failed, by cause",
    "delete": "delete tasks",
    "initdb": "create the tables of a task database in PostgreSQL",
    "db": "check, shrink or export a task database",
    "access": "show what is in an access file, or seal it again",
    "completion": "print the completion script for a shell",
}

VERBS = {
    name: Verb(name, _MODULES + name.replace("-", "_"), summary) for name, summary in _ROWS.items()
}
"""The verbs by name, in the order in which help lists them."""
