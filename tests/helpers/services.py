"""The services of tests/services: brought up for a test, or skipped by the reason they name."""

import os
import subprocess

from tests.helpers.components import lacks
from tests.helpers.farm import ROOT

SERVICES = ROOT / "tests" / "services"
_CANNOT = 77


def service(name: str, *words: object) -> None:
    """Run one of the scripts; where this machine cannot do that, skip by the reason it names."""
    command = [SERVICES / name, *map(str, words)]
    # What it starts stays, and is not to hold our pipe.
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if ended.returncode == _CANNOT:
        lacks(ended.stderr.strip())
    assert 0 == ended.returncode, ended.stderr


def output(*words: object, **environment: str) -> str:
    """What a command prints that succeeds."""
    command = list(map(str, words))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout
