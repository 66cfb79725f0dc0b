"""What can be wrong with a task database, and what to do about it.

StartError (core/errors)
└── DatabaseUnusable         3  DatabaseMissing DatabaseDamaged DatabaseForeign DatabaseNewer
                                DatabaseBusy DatabaseTaken DatabaseStalled DriverMissing
                                DatabaseOvertaken TablesMissing NothingToResume InputChanged
"""

from hypershell.core.errors import StartError


class DatabaseUnusable(StartError):
    """The database cannot be opened, read or written."""

    says = "cannot use the task database {where}: {reason}"
    hint = "see that it can be read and written; --no-db runs without one"


class DatabaseMissing(DatabaseUnusable):
    """There is no database yet."""

    says = "there is no task database {where}"
    hint = "the first `hyper-shell server FILE` there makes it"


class DatabaseDamaged(DatabaseUnusable):
    """The file is not what was written."""

    says = "the task database {where} is damaged: {reason}"
    hint = "look with `hyper-shell db check`; bring back a copy, or move it away to begin a new one"


class DatabaseForeign(DatabaseUnusable):
    """Something else lies there."""

    says = "{where} is a database of something else"
    hint = "name another with --database, or move it away"


class DatabaseNewer(DatabaseUnusable):
    """A later release made it."""

    says = "the task database {where} has layout {theirs}; this release knows {ours}"
    hint = "use a release that is at least as new as the one that wrote it"


class DatabaseBusy(DatabaseUnusable):
    """Another program holds it."""

    says = "the task database {where} is locked by another process"
    hint = "end the program that has it open (`fuser` or `lsof` names it), and try again"


class DatabaseTaken(DatabaseUnusable):
    """Another server works on it."""

    says = "another server works on the task database {where}"
    hint = "stop that one first, or give this one a database of its own with --database"


class DatabaseOvertaken(DatabaseUnusable):
    """The connection was lost, and somebody else wrote before it was there again."""

    says = "another program changed the task database {where} while the connection was lost"
    hint = "`hyper-shell server --restart` goes on with what is in it now"


class DatabaseStalled(DatabaseUnusable):
    """It could not be written, and then the run was ended."""

    says = "the task database {where} could not be written to the end: {reason}"
    hint = "what was acknowledged is in it; `hyper-shell server --restart` goes on from there"


class DriverMissing(DatabaseUnusable):
    """The package that speaks to this kind of database is not installed."""

    says = "the task database {where} needs the package {package}"
    hint = "pip install 'hyper-shell[postgres]'"


class TablesMissing(DatabaseUnusable):
    """PostgreSQL, without our tables."""

    says = "there are no tables of hyper-shell in {where}"
    hint = "make them with `hyper-shell initdb`"


class NothingToResume(StartError):
    """No run of that file is known."""

    says = "no run of {path} is in the task database {where}"
    hint = "leave out --resume to run it from its first line"


class InputChanged(StartError):
    """The part of the input that was read already is not what it was."""

    says = "{path} has changed within its first {lines} lines, which were read already"
    hint = "run it from its first line without --resume, or what is left with `--restart`"
