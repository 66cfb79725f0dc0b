"""Where a server is found: what comes before what, and who is asked for a passphrase."""

from dataclasses import replace
from pathlib import Path

import pytest

from hypershell.access.access_file import write
from hypershell.access.endpoints import Access
from hypershell.access.errors import PassphraseMissing
from hypershell.access.keys import DEFAULT_WORKER_PORT, WORKER, plane_secret
from hypershell.access.seal import passphrase_seal
from hypershell.app.locate import Passphrases, ServerLocation
from hypershell.core import environment
from hypershell.core.errors import NoServer, ServerSilent, VersionMismatch

PHRASE = b"correct horse"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a home of their own, and nothing in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (environment.PASSPHRASE, environment.SEAL_KEY, environment.SERVER_DIR):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def sealed(tmp_path: Path, access: Access) -> Path:
    """An access file that is sealed with a passphrase."""
    path = tmp_path / "sealed.json"
    write(path, access, passphrase_seal(PHRASE))
    return path


class Person:
    """Somebody at a terminal, who types a passphrase."""

    def __init__(self, answer: bytes = PHRASE) -> None:
        self.asked: list[Path] = []
        self._answer = answer

    def __call__(self, path: Path) -> bytes:
        self.asked.append(path)
        return self._answer


def nobody(path: Path) -> bytes:
    """Nobody is there to be asked."""
    raise AssertionError(f"asked for the passphrase of {path}")


def test_a_key_needs_no_file() -> None:
    """The server is on this machine, at the default port."""
    found = ServerLocation(key="a-key", server_dir="/no/such/directory").worker_address()

    assert ("localhost", DEFAULT_WORKER_PORT, plane_secret("a-key", WORKER)) == found


def test_host_and_port_go_with_a_key() -> None:
    """If they are given."""
    found = ServerLocation(key="a-key", host="node1", port=7).worker_address()

    assert ("node1", 7) == found[:2]


def test_a_file_has_host_port_and_key(sealed: Path, access: Access) -> None:
    """Without a key, all three are in the access file."""
    location = ServerLocation(access_file=str(sealed), passphrases=Passphrases(ask=Person()))
    worker = access.worker
    assert worker is not None

    found = location.worker_address()

    assert (worker.host, worker.port, plane_secret(worker.key, WORKER)) == found


def test_host_and_port_come_before_those_of_the_file(sealed: Path) -> None:
    """Its key stays."""
    location = ServerLocation(
        access_file=str(sealed), passphrases=Passphrases(ask=Person()), host="here", port=9
    )

    assert ("here", 9) == location.worker_address()[:2]


def test_an_access_file_comes_before_a_directory() -> None:
    """The directory is not looked at."""
    location = ServerLocation(server_dir="/farm", access_file="/a/file.json")

    assert location.directory() is None
    assert Path("/a/file.json") == location.access_path()


def test_an_option_comes_before_the_environment_and_that_before_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For the server directory."""
    places = []
    for named, variable in (("/named", "/variable"), (None, "/variable"), (None, "")):
        monkeypatch.setenv(environment.SERVER_DIR, variable)
        directory = ServerLocation(server_dir=named).directory()
        assert directory is not None
        places.append(directory.path)

    assert [Path("/named"), Path("/variable"), tmp_path / "home" / ".hyper-shell"] == places


def test_a_directory_without_a_server_says_so(tmp_path: Path) -> None:
    """There is no access file to use."""
    with pytest.raises(NoServer):
        ServerLocation(server_dir=str(tmp_path)).access_path()


@pytest.mark.parametrize(
    "error",
    [
        ServerSilent(host="h", port=1),
        VersionMismatch(host="h", port=1, theirs=2),
    ],
)
def test_what_a_directory_does_not_know_is_said_as_it_is(tmp_path: Path, error: NoServer) -> None:
    """No server ever ran there, or one answers."""
    assert error is ServerLocation(server_dir=str(tmp_path)).explain(error)
    assert error is ServerLocation(access_file="x.json").explain(error)


def test_a_person_is_asked_once(sealed: Path) -> None:
    """However often the file is opened."""
    person = Person()
    passphrases = Passphrases(ask=person)

    passphrases.open(sealed)
    passphrases.open(sealed)

    assert [sealed] == person.asked


def test_nobody_is_asked_where_there_is_no_terminal(sealed: Path) -> None:
    """The error says how to give the passphrase."""
    with pytest.raises(PassphraseMissing):
        Passphrases().open(sealed)


@pytest.mark.parametrize("by_file", [True, False])
def test_a_passphrase_that_was_given_is_not_asked_for(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_file: bool
) -> None:
    """Neither the one of the option nor that of the environment."""
    words = tmp_path / "words"
    words.touch(0o600)
    words.write_bytes(PHRASE)
    if not by_file:
        monkeypatch.setenv(environment.PASSPHRASE, PHRASE.decode())
    passphrases = Passphrases(str(words) if by_file else None, nobody)
    location = ServerLocation(access_file=str(sealed), passphrases=passphrases)

    assert passphrases.open(sealed) == location.with_passphrase().passphrases.open(sealed)


def test_a_passphrase_file_is_read_once(sealed: Path, tmp_path: Path) -> None:
    """It may be a pipe, which is empty the second time."""
    words = tmp_path / "words"
    words.touch(0o600)
    words.write_bytes(PHRASE)
    passphrases = Passphrases(str(words))
    passphrases.open(sealed)

    words.unlink()

    assert passphrases.open(sealed)


def test_a_process_that_cannot_ask_has_what_was_typed_before(sealed: Path) -> None:
    """And asks nobody, for another file either."""
    person = Person()
    location = ServerLocation(access_file=str(sealed), passphrases=Passphrases(ask=person))

    prepared = location.with_passphrase()

    assert [sealed] == person.asked
    assert prepared.passphrases.open(sealed)
    assert prepared.passphrases.ask is None


def test_nobody_is_asked_for_a_file_that_needs_no_passphrase(
    access_file: Path, sealed: Path, tmp_path: Path
) -> None:
    """Nor for one that is not there, nor with a key."""
    asking = ServerLocation(access_file=str(sealed), passphrases=Passphrases(ask=nobody))
    locations = [
        replace(asking, access_file=str(access_file)),
        replace(asking, access_file=str(tmp_path / "not-there.json")),
        replace(asking, key="a-key"),
    ]

    prepared = [location.with_passphrase() for location in locations]

    assert [None] * 3 == [location.passphrases.ask for location in prepared]
