"""Option texts of the verbs that ask for tasks or change them. Imports nothing."""

DATABASE_OPTIONS = """\
Database options:
  --database URL  Use this task database directly, without a server. When no
                  server runs, the default is HYPERSHELL_DATABASE, or the file
                  in the server directory.
"""

SELECTION_OPTIONS = """\
Selection options:
  --where CONDITION  Tasks that meet a condition, for example
                     `exit_status >= 3 and line ~ regex`.
  --tag KEY:VALUE    Tasks with this tag; KEY alone matches any value. May be
                     repeated.
  --failed           Tasks that failed.
  --succeeded        Tasks that succeeded.
  --waiting          Tasks that have not begun.
  --running          Tasks that are running.
  --cancelled        Tasks that were cancelled.
  --remaining        Tasks that are not finished: waiting, running or
                     interrupted.
  --run UID          Tasks of the run with this server_uid, of the `last` run,
                     or of `all` runs. The default is the last run; tasks that
                     are named by their ids may be of any.
  --cause NUM        Tasks that failed for this cause, a number that `failures`
                     shows.
"""

NEW_TASK_OPTIONS = """\
Task options:
  --tag KEY:VALUE            Give the tasks a tag. May be repeated.
  --group NUM                Start the tasks when all groups before NUM have
                             succeeded.
  --priority NUM             Within a group, a higher priority runs first. The
                             default is 0.
  -r NUM, --max-retries NUM  Retry a failed task up to NUM times. The default
                             is that of the server.
  --retry-delay SEC[:MAX]    Wait SEC seconds before the first retry of a task,
                             and twice as long before each further one, but at
                             most MAX.
  --retry-if CONDITION       Retry only if the failed attempt meets a condition,
                             such as `exit_status = 75 or ending = timed-out`.
  -W DUR, --task-timeout DUR
                             Stop a task that runs longer than DUR, such as 90,
                             10m or 1h30m, or 300% (of the median of the
                             successes), and count it as failed. The default
                             is that of the server.
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
  --cwd DIR                  Run the tasks in DIR; `client` means the directory
                             in which their client was started. The default is
                             the working directory.
  --env NAME=VALUE           Give the tasks a variable. May be repeated.
  --export NAME,...          Give the tasks these variables as they are here;
                             `all` means all but those that tasks never get of
                             their client. May be repeated.
"""

CONDITION_TEXT = """\
Fields of tasks:
  id, line, state       the task itself
  number                the number of the line in the input; 0 if submitted
  run, group, priority  run is the server_uid of the run that read the task
  attempt, failures     the current or last attempt, and how many have failed
  losses                how many clients died while running it
  ending                how the last attempt ended: exited, signaled, lost, ...
  exit_status, signal   its exit status, or the signal that ended it
  reason, cause         why it failed; cause is a number that `failures` shows
  host, client, slot    where it runs, or ran last
  pid                   its process id there
  added, started, ended
                        times
  duration              how long it ran
  cpu, user, system     the processor time that it used
  memory                the most memory that it used
  tag.KEY               a tag

Conditions:
  FIELD = != < <= > >= VALUE  numbers, durations (90, 10m, 1.5h), sizes (4GiB)
                              and times
  FIELD = != VALUE            text, in quotes if it has spaces
  FIELD ~ !~ REGEX            text in which an RE2 regular expression is found,
                              or is not
  FIELD in (VALUE, VALUE)     one of several values
  and, or, not, ( )           combine conditions; a comparison with a field that
                              a task does not have is false
  2026-01-31T12:00, 2h ago    times, for < <= > >=
"""
