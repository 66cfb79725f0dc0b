"""The verbs: where each one lives and what it is for, in one line. Imports nothing.

The dispatcher, the overview, the man pages and the completions all read this table; a new verb is
one more line here and one module with `USAGE` and `run(arguments)`.
"""

VERBS: dict[str, tuple[str, str]] = {
    "server": (
        "hypershell.cli.verbs.server",
        "hand out the lines of a file as tasks, capture failures",
    ),
    "client": ("hypershell.cli.verbs.client", "run tasks for a server on this machine"),
    "cluster": (
        "hypershell.cli.verbs.cluster",
        "run a server and its clients on this machine together",
    ),
    "submit": ("hypershell.cli.verbs.submit", "give a server tasks to run"),
    "run": ("hypershell.cli.verbs.run", "run one command as a task, and exit with its status"),
    "list": ("hypershell.cli.verbs.list", "show tasks, or count them"),
    "info": ("hypershell.cli.verbs.info", "show one task and its attempts"),
    "wait": ("hypershell.cli.verbs.wait", "wait until tasks have finished"),
    "cancel": ("hypershell.cli.verbs.cancel", "cancel waiting or running tasks"),
    "retry": ("hypershell.cli.verbs.retry", "run failed or cancelled tasks again"),
    "failures": ("hypershell.cli.verbs.failures", "show why tasks failed, by cause"),
    "delete": ("hypershell.cli.verbs.delete", "delete tasks"),
    "initdb": ("hypershell.cli.verbs.initdb", "create the tables of a task database in PostgreSQL"),
    "db": ("hypershell.cli.verbs.db", "check, shrink or export a task database"),
    "access": ("hypershell.cli.verbs.access", "show what is in an access file, or seal it again"),
    "completion": ("hypershell.cli.verbs.completion", "print the completion script for a shell"),
}
"""Name of the verb -> (module, summary), in the order in which help lists them."""
