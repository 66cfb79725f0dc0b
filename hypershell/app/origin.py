"""Where a run or a submission is made: the directory of this process, in which its tasks run."""

import os
from dataclasses import replace

from hypershell.core.errors import TaskDirectoryUnusable, WorkingDirectoryGone, system_reason
from hypershell.core.origin import Origin
from hypershell.core.setting_values import CLIENT_CWD
from hypershell.core.submission import SubmitOptions
from hypershell.runtime.working_directory import working_directory


def origin_here(cwd: str | None) -> Origin:
    """The origin of what is made here, for tasks that are to run in `cwd`, or here if it is None.

    WorkingDirectoryGone if they are to run here, and there is no such directory any more.
    """
    try:
        made_in = working_directory()
    except OSError as error:
        if cwd is None:
            raise WorkingDirectoryGone(reason=system_reason(error)) from error
        made_in = b""
    return Origin(made_in, os.fsdecode(made_in) if cwd is None else cwd)


def submitted_here(options: SubmitOptions) -> SubmitOptions:
    """The options of a submission that is made here; WorkingDirectoryGone."""
    origin = origin_here(options.spec.cwd)
    return replace(options, spec=replace(options.spec, cwd=origin.cwd), made_in=origin.made_in)


def check_directory(cwd: str | None) -> None:
    """TaskDirectoryUnusable if tasks of this machine cannot run in a directory that was named."""
    if cwd is None or cwd == CLIENT_CWD:
        return
    try:
        os.stat(os.path.join(cwd, "."))
    except OSError as error:
        raise TaskDirectoryUnusable(path=cwd, reason=system_reason(error)) from error
