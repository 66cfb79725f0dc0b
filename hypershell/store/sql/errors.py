"""What can be wrong with a task database, and what to do about it.

StartError (core/errors)
└── DatabaseUnusable         3  DatabaseMissing DatabaseDamaged DatabaseForeign DatabaseNewer
                                DatabaseLinked
                                DatabaseBusy DatabaseTaken DatabaseStalled DriverMissing
                                DatabaseOvertaken DatabasePooled LoginRefused TablesMissing
                                SettingsUnknown NothingToResume InputChanged
"""

from hypershell.core.errors import StartError


class DatabaseUnusable(StartError):
    """The database cannot be opened, read or written."""

    says = "cannot use the task database {where}: {reason}"
    hint = "make sure that it can be read and written; --no-db runs without a database"


class DatabaseLinked(DatabaseUnusable):
    """The file has several names, each of which would have a journal and a lock of its own."""

    says = "the task database {where} has another name (a hard link), under which it may be in use"
    hint = "remove the other name, or make a copy of the file and give that"


class DatabaseMissing(DatabaseUnusable):
    """There is no database yet."""

    says = "there is no task database {where}"
    hint = "the first `hyper-shell server FILE` there creates it"


class DatabaseDamaged(DatabaseUnusable):
    """The database is damaged."""

    says = "the task database {where} is damaged: {reason}"
    hint = "run `hyper-shell db check`; restore a copy, or move it away to start a new one"


class DatabaseForeign(DatabaseUnusable):
    """The file or database belongs to another program."""

    says = "{where} is not a hyper-shell database"
    hint = "choose another with --database, or move it away"


class DatabaseNewer(DatabaseUnusable):
    """A later release made it."""

    says = "the task database {where} has layout {theirs}; this release supports {ours}"
    hint = "use a release that is at least as new as the one that wrote it"


class SettingsUnknown(DatabaseUnusable):
    """A task has a setting that this release does not have."""

    says = "cannot read task {task} of the task database: {reason}"
    hint = "use the release that wrote it, or a later one; or check it with `hyper-shell db check`"


class DatabaseBusy(DatabaseUnusable):
    """Another program has locked it."""

    says = "the task database {where} is locked by another process"
    hint = "stop the program that has it open (find it with `fuser` or `lsof`) and try again"


class DatabaseTaken(DatabaseUnusable):
    """Another server is using it."""

    says = "another server is using the task database {where}"
    hint = "stop that server first, or choose another database with --database"


class DatabaseOvertaken(DatabaseUnusable):
    """Somebody else wrote to it while the connection was lost."""

    says = "another program changed the task database {where} while the connection was lost"
    hint = "`hyper-shell server --restart` continues with what is in it now"


class DatabasePooled(DatabaseUnusable):
    """A pooler gives each transaction another session, in which no lock lasts."""

    says = "{where} leads to a connection pooler in transaction mode, where no lock can be held"
    hint = "connect to PostgreSQL itself, or through a pool with pool_mode = session"


class LoginRefused(DatabaseUnusable):
    """The user or the password is wrong, or there is none."""

    says = "cannot log in to the task database {where}: {reason}"
    hint = "set PGPASSWORD, or add a line to ~/.pgpass (mode 600): HOST:PORT:DATABASE:USER:PASSWORD"


class DatabaseStalled(DatabaseUnusable):
    """The run ended before the last changes could be written."""

    says = "the last changes could not be written to the task database {where}: {reason}"
    hint = "everything acknowledged is in it; `hyper-shell server --restart` continues from there"


class DriverMissing(DatabaseUnusable):
    """The package for this kind of database is not installed."""

    says = "the task database {where} needs the package {package}"
    hint = "pip install 'hyper-shell[postgres]'"


class TablesMissing(DatabaseUnusable):
    """A PostgreSQL database without the tables of hyper-shell."""

    says = "{where} has no hyper-shell tables"
    hint = "create them with `hyper-shell initdb`"


class NothingToResume(StartError):
    """No run of that file is known."""

    says = "the task database {where} has no run of {path}"
    hint = "omit --resume to run it from its first line"


class InputChanged(StartError):
    """The part of the input that was already read has changed, or what is made of it."""

    says = (
        "the first {lines} lines of {path}, which were already read, or the template have changed"
    )
    hint = "omit --resume to run it from its first line, or use --restart for the remaining tasks"
