"""Fixtures for all tests."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypershell.runtime import threads
from tests.helpers.access import Site
from tests.helpers.components import lacks
from tests.helpers.farm import Farm
from tests.helpers.fault_table import FaultTable
from tests.helpers.postgres import Postgres
from tests.helpers.relay import Relay

# Every lock that is made from now on, here and in the processes that tests start, is one that
# raises when it is taken in the wrong order.
threads.check_lock_order(True)
os.environ[threads.CHECK_VARIABLE] = "1"

# Where nobody stores what was compiled, each of some thousand starts of the program compiles it
# all again, which takes longer than what is tested.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell ignores these for what it runs behind `&` or nohup, and so would all that tests start.
# They are still without effect here, but what has a handler is not ignored by those.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


@pytest.fixture
def need() -> Callable[[str], str]:
    """Find another program by name; without it the test is skipped here and fails in CI."""

    def find(program: str) -> str:
        return shutil.which(program) or lacks(f"{program} is not installed")

    return find


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """Real servers and clients in a directory of their own; none may be left behind."""
    farm = Farm(tmp_path)
    yield farm
    farm.close()


@pytest.fixture
def cold(farm: Farm) -> None:
    """Have the farm fork nothing: for tests of the start itself."""
    farm.cold = True


@pytest.fixture
def site(farm: Farm) -> Site:
    """A server directory in which no server was started yet; the farm ends what is started."""
    return Site(farm)


@pytest.fixture
def relay_to() -> Iterator[Callable[..., Relay]]:
    """Make relays to ports of this machine, which may take their time."""
    relays: list[Relay] = []

    def make(port: int, delay: float = 0.0) -> Relay:
        relays.append(Relay(port, delay))
        return relays[-1]

    yield make
    for relay in relays:
        relay.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, one for all tests, that need not outlive a loss of power."""
    cluster = Postgres()
    yield cluster
    cluster.close()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """A database of PostgreSQL that has nothing in it."""
    return postgres.new_url()


_FAULTS = pytest.StashKey[FaultTable]()


@pytest.fixture(scope="session")
def fault_table(pytestconfig: pytest.Config) -> FaultTable:
    """Where campaigns put what they counted; it is printed at the end."""
    return pytestconfig.stash.setdefault(_FAULTS, FaultTable())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of faults, if there is one."""
    if table := config.stash.get(_FAULTS, None):
        table.write()
        terminalreporter.section("faults")
        terminalreporter.write_line(table.text())
