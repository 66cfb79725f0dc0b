"""Option texts that several verbs share. Imports nothing."""

_INPUT_OPTIONS = """\
Input options:
  --template CMD           Run CMD for each record of the input, with {} and the
                           like in it replaced; see "Templates".%s
  -a FILE, --arg-file FILE
                           Read values from FILE, like `:::: FILE`. May be
                           repeated.
  --array RANGES           The numbers of RANGES, such as 1-1000:2,2000.
  --from-json FILE         Read records from FILE: a JSON array, or a line of
                           JSON for each. `-` is standard input.
  -0, --null               Records end with a NUL, not with a newline.
  -C REGEX, --colsep REGEX
                           Cut records into values where REGEX matches.
  --csv                    Records are lines of comma-separated values.
  --header                 The first record has the names of the values.
  --keep-cr                Leave carriage returns and byte order marks as they
                           are.
  --dry-run                Print the commands, and run none.

Templates:
  {}        the record           {n}       its nth value, from 1; -1 is the last
  {.}       without extension    {name}    the value with this name
  {/}       base name            {n.} {n/} {n//} {n/.} {name.} ...
  {//}      directory            {#}       the number of the record
  {/.}      base name without    {%%}       the number of the slot
            extension            {=} {=n} {=name}  without quotes
"""

_TEMPLATE_WORDS = """ Instead, its
                           words can stand after `--`.
  --quote                  Quote the words after `--`, so that the shell reads
                           each as one."""

INPUT_OPTIONS = _INPUT_OPTIONS % _TEMPLATE_WORDS

SUBMIT_INPUT_OPTIONS = _INPUT_OPTIONS % ""

TASK_OPTIONS = """\
Task options:
  -b NUM, --bundlesize NUM   Hand out tasks in bundles of NUM [default: 1].
  -w SEC, --bundlewait SEC   Hand out a bundle that is not full after SEC
                             seconds [default: 5].
  -t SEC                     The same as -w.
  -r NUM, --max-retries NUM  Retry a failed task up to NUM times [default: 0].
  --retry-delay SEC[:MAX]    Wait SEC seconds before the first retry of a task,
                             and twice as long before each further one, but at
                             most MAX. The default of MAX is 1h.
  --retry-if CONDITION       Retry only if the failed attempt meets a condition,
                             such as `exit_status = 75 or ending = timed-out`.
  --eager                    Run retries before new tasks, instead of after the
                             tasks that were already read.
  -R RATE, --ratelimit RATE  Hand out at most RATE tasks, such as 10/s or 30/m.
  --halt WHEN,WHY            End the run early. WHEN is `now`, which stops the
                             running tasks, or `soon`, which lets them finish;
                             WHY is fail=N, success=N, done=N, or one of them
                             with a percentage, fail=N%, of the finished tasks.
  --no-guard                 Let clients fail tasks before one of theirs has
                             succeeded, also while others succeed.
  --max-lost NUM             Count a task as failed when NUM clients have died
                             while running it [default: 3].
  -W DUR, --task-timeout DUR
                             Stop a task that runs longer than DUR, such as 90,
                             10m or 1h30m, or 300% (of the median of the
                             successes), and count it as failed. A line sets
                             its own with `# HYPERSHELL: timeout:10m`.
  -c NUM, --cores NUM        Give each task NUM cores of its client. A task that
                             asks for nothing takes one of the -N slots instead.
                             A line sets its own with `# HYPERSHELL: cores:4`,
                             and so on: memory:2GB gpus:1 res.NAME:1 expect:10m.
  -m SIZE, --memory SIZE     Memory that a task may use, such as 500MB or 8GiB.
                             One that uses more is ended, and has failed.
  --retry-memory FACTOR      Ask for FACTOR times as much memory, such as 2x, at
                             the attempt after that.
  --gpus NUM                 GPUs that a task takes.
  --resource NAME=NUM        Another resource that a task takes, and a client
                             offers. May be repeated.
  --expect DUR               How long a task is expected to run: a client that
                             has to end before does not get it.
  --unfit WHAT               What becomes of tasks that no connected client can
                             run: they `wait`, or `fail` [default: wait].
  --cwd DIR                  Run the tasks in DIR; `client` means the directory
                             in which their client was started. The default is
                             the working directory; a run that is continued
                             keeps the directory in which it was made.
  --env NAME=VALUE           Give the tasks a variable. May be repeated.
  --export NAME,...          Give the tasks these variables as they are here;
                             `all` means all but those that tasks never get of
                             their client. May be repeated.
  --lease SEC                Reschedule the tasks of a client that has not been
                             heard from for SEC seconds [default: 30].
  --grace SEC                Seconds between TERM and KILL when a task is
                             stopped [default: 5].

Database options:
  --database URL             The task database: sqlite:///PATH or
                             postgresql://USER@HOST/NAME. The default is
                             HYPERSHELL_DATABASE, or a file in the server
                             directory.
  --no-db                    Keep everything in memory, without a database.
  --restart                  Run every task in the database that has not
                             succeeded: failed tasks too, but not cancelled
                             ones.
  --resume                   Continue an earlier run of FILE that died or was
                             stopped.
  --update                   Run only those records of FILE that no earlier run
                             of it had, with the same template, whatever became
                             of them.
  --repeat                   Run all records of FILE, as without --update.
  --run UID                  Which tasks --restart runs: those of the run with
                             this server_uid, of the `last` run, or of `all`.
                             The default is all runs and submissions that were
                             made in this working directory.
  --keep-runs NUM            Keep the directories of the last NUM runs; older
                             ones are removed if all of their tasks have
                             finished [default: 20].

Failure options:
  --print                    Print the lines of failed tasks to standard output.
  -f PATH, --failures PATH   Write the lines of failed tasks to PATH, or append
                             to it with --restart, --resume or --forever.
  --joblog PATH              Write a line for each finished task to PATH, in the
                             format of GNU parallel's joblog.
  --overwrite                Let -f and --joblog replace a file that is not
                             empty and that no earlier run wrote.
"""

DATABASE_PLACE_OPTIONS = """\
Location options:
  --database URL    The task database: sqlite:///PATH or
                    postgresql://USER@HOST/NAME. The default is
                    HYPERSHELL_DATABASE, or a file in the server directory.
  --server-dir DIR  The server directory. The default is HYPERSHELL_SERVER_DIR,
                    or ~/.hyper-shell.
"""

ADDRESS_OPTIONS = """\
Address options:
  -H ADDR, --bind ADDR  Address to listen on: a name, IPv4 or IPv6. The default
                        is localhost.
  -p NUM, --port NUM    Port for workers (`hyper-shell client`); 0 picks a free
                        one. The default is 50001.
  --worker-port NUM     The same as --port.
  -k KEY, --auth KEY    The key that clients must have: at least 16 characters,
                        unless the server listens on loopback only. Other users
                        can read a command line, so set HYPERSHELL_AUTH instead.
"""

RUN_PLACE_OPTION = """\
  --run UID               Where several servers share a directory, the one that
                          has the run with this server_uid. The default is the
                          first of them, which `server info` shows as current.
"""

PLACE_OPTIONS = """\
Location options:
  --server-dir DIR        The server directory. The default is
                          HYPERSHELL_SERVER_DIR, or ~/.hyper-shell.
  --access-file FILE      Read hosts, ports and keys from an access file made by
                          `server generate-access`.
  --passphrase-file FILE  Read the passphrase of a sealed access file from FILE.
                          Without it, HYPERSHELL_PASSPHRASE is used, or you are
                          asked.
"""

RUN_OPTIONS = """\
Run options:
  -N NUM, --num-threads NUM  Tasks to run at a time; 0 means one per usable
                             core [default: 1].
  -j NUM, --jobs NUM         The same as -N.
  --shell 'CMD ARGS'         The shell that runs the lines, with arguments that
                             stand before its -c, such as 'bash -e -o pipefail'
                             [default: /bin/sh].
  --prologue FILE            Source FILE before each line, for `module load` or
                             `conda activate`; if that fails, the task fails.
  --nice NUM                 Run tasks with this niceness, as nice(1) does.
  -o PATH, --output PATH     Append the standard output of tasks to PATH.
  -e PATH, --errors PATH     Append the standard error of tasks to PATH.
  --client-cores NUM         Cores that a client offers to tasks that ask for
                             resources. The default is what it may use of its
                             machine; the same is true of memory and GPUs.
  --client-memory SIZE       Memory that it offers.
  --client-gpus NUM          GPUs that it offers.
  --client-resource NAME=NUM
                             Another resource that it offers. May be repeated.
  --pin                      Run each task that asks for resources on cores of
                             its own.
"""

LOG_OPTIONS = """\
Logging options:
  -v, --verbose      Log more: each failed task with its reason, and details of
                     every connection.
  -q, --quiet        Log only warnings and errors.
  --log-file PATH    Append the log to PATH instead of standard error.
  --log-format FORM  human or json [default: human].
"""
