"""The environment variables that this program reads, and which of them are secrets."""

AUTH = "HYPERSHELL_AUTH"
"""The key of the worker plane, as `-k` gives it."""

PASSPHRASE = "HYPERSHELL_PASSPHRASE"
"""The passphrase of access files that are sealed with one."""

SEAL_KEY = "HYPERSHELL_SEAL_KEY"
"""The path of the seal key file."""

SERVER_DIR = "HYPERSHELL_SERVER_DIR"
"""The server directory, as `--server-dir` gives it."""

DATABASE = "HYPERSHELL_DATABASE"
"""The task database, as `--database` gives it."""

PARENT = "HYPERSHELL_PARENT"
"""The process whose death a client must not survive; a launcher sets it."""

OUTPUT_LOCK = "HYPERSHELL_OUTPUT_LOCK"
"""The descriptor of a file in which the clients of a launcher lock their common output."""

CONTROL = "HYPERSHELL_CONTROL"
"""The descriptor by which a launcher tells its client to pause, and to go on; it sets it."""

SECRETS = frozenset({AUTH, PASSPHRASE})
"""Variables that a client keeps from the tasks it starts."""
