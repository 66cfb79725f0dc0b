"""Option texts that several verbs share. Imports nothing."""

TASK_OPTIONS = """\
Task options:
  -b NUM, --bundlesize NUM   Tasks per bundle [default: 1].
  -w SEC, --bundlewait SEC   Hand out a bundle that is not full after SEC seconds [default: 5].
  -t SEC                     The same as -w.
  -r NUM, --max-retries NUM  Further attempts for a task that failed [default: 0].
  --eager                    Retries go before new tasks, not after those already read.
  --max-lost NUM             A task whose client died under it so often is failed [default: 3].
  --lease SEC                How long a client holds its tasks without being heard [default: 30].
  --grace SEC                How long a task has between TERM and KILL [default: 5].

Database options:
  --database URL             The task database: sqlite:///PATH or postgresql://USER@HOST/NAME. The
                             default is HYPERSHELL_DATABASE, or a file in the server directory.
  --no-db                    Keep everything in memory.
  --restart                  Run all in the database that has not succeeded: failed tasks too,
                             cancelled ones not.
  --resume                   Go on with FILE where a run of it that died or was stopped was.

Failure options:
  --print                    Print the lines of failed tasks to standard output.
  -f PATH, --failures PATH   Write the lines of failed tasks to PATH; appended to where a run goes
                             on (--restart, --resume, --forever).
  --joblog PATH              Write a line for each task that is final to PATH, in the format of GNU
                             parallel's joblog.
"""

DATABASE_PLACE_OPTIONS = """\
Place options:
  --database URL    The task database: sqlite:///PATH or postgresql://USER@HOST/NAME. The default is
                    HYPERSHELL_DATABASE, or a file in the server directory.
  --server-dir DIR  The server directory. The default is HYPERSHELL_SERVER_DIR, or ~/.hyper-shell.
"""

ADDRESS_OPTIONS = """\
Address options:
  -H ADDR, --bind ADDR  Address to listen on: a name, IPv4 or IPv6. The default is localhost.
  -p NUM, --port NUM    Port for clients; 0 is any free one. The default is 50001.
  --worker-port NUM     The same as --port.
  -k KEY, --auth KEY    The key that clients must hold, at least 16 characters unless on loopback.
                        Better in HYPERSHELL_AUTH: a command line can be read by others.
"""

PLACE_OPTIONS = """\
Place options:
  --server-dir DIR        The server directory. The default is HYPERSHELL_SERVER_DIR, or
                          ~/.hyper-shell.
  --access-file FILE      Hosts, ports and keys, from a file that generate-access made.
  --passphrase-file FILE  The passphrase of access files that are sealed with one; or give it in
                          HYPERSHELL_PASSPHRASE, or when asked.
"""

RUN_OPTIONS = """\
Run options:
  -N NUM, --num-threads NUM  Tasks to run at a time; 0 is one per usable core [default: 1].
  -j NUM, --jobs NUM         The same as -N.
  --shell PATH               The shell that runs the lines [default: /bin/sh].
  -o PATH, --output PATH     Append what tasks print to PATH instead of standard output.
  -e PATH, --errors PATH     The same for their standard error.
"""

LOG_OPTIONS = """\
Logging options:
  -v, --verbose      Say more: each failed task and why, and every detail of connections.
  -q, --quiet        Say nothing but warnings and errors.
  --log-file PATH    Append what is said to PATH instead of standard error.
  --log-format FORM  human or json [default: human].
"""
