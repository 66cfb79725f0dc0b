"""Option texts of the verbs that ask for tasks or change them. Imports nothing."""

DATABASE_OPTIONS = """\
Database options:
  --database URL  Work on this task database itself, through no server. While no server runs, the
                  default is HYPERSHELL_DATABASE, or the file in the server directory.
"""

SELECTION_OPTIONS = """\
Selection options:
  --where CONDITION  Tasks for which this holds, as `exit_status >= 3 and line ~ regex`.
  --tag KEY:VALUE    Tasks with this tag, or with any value of KEY alone. May be repeated.
  --failed           Failed tasks.
  --succeeded        Tasks that succeeded.
  --waiting          Tasks that wait.
  --running          Tasks that were handed out, or are about to be.
  --cancelled        Tasks that were cancelled.
  --remaining        Tasks that are not final: they wait, run or were interrupted.
  --from-run UID     Tasks of the run with this server_uid.
  --cause NUM        Tasks that failed for this cause, a number that `failures` shows.
"""

TERMS_OPTIONS = """\
Task options:
  --tag KEY:VALUE            Give the tasks a tag. May be repeated.
  --group NUM                Start them when all groups before NUM have succeeded.
  --priority NUM             The higher goes first within a group; 0 if nothing is said.
  -r NUM, --max-retries NUM  Further attempts for a task that failed; else as the server says.
"""

CONDITION_TEXT = """\
Fields of tasks:
  id, line, state, number     number is the line in the input, 0 if it was submitted
  run, group, priority        the server_uid of the run that read it
  attempt, failures, losses   the attempt under way or last; losses are clients that died
  ending, exit_status, signal, reason, cause
                              why the last attempt ended so; cause is that of `failures`
  host, client, slot, pid     where it was
  added, started, ended       times
  duration, cpu, user, system, memory
                              how long it took, and what of; memory is the peak
  tag.KEY                     a tag

Conditions:
  FIELD = != < <= > >= VALUE  numbers, durations (90, 10m, 1.5h), sizes (4GiB), times
  FIELD = != VALUE            text, in quotes if it has spaces
  FIELD ~ !~ REGEX            text that a regular expression finds, or does not
  FIELD in (VALUE, VALUE)     one of several
  and, or, not, ( )           join them; what a task does not have fulfils no comparison
  2026-01-31T12:00, 2h ago    times, for < <= > >=
"""
