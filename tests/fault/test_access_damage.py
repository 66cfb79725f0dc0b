"""Damaged and strange access files, given to real commands: refused at once, never followed."""

import os
import random
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.helpers.access import Site, complaint, free_ports, generate

VERBS = (["client"], ["submit"], ["server", "info"], ["server", "start"], ["access", "info"])


def refuse(site: Site, name: str, *patterns: str, verbs: Iterable[list[str]] = VERBS) -> None:
    """Each verb refuses this file at once."""
    started = []
    for verb in verbs:
        if verb[0] == "access":
            started.append(site.farm.start(*verb, name))
        else:
            place = ["--server-dir", str(site.path)] if verb[-1] == "start" else []
            tail = ["--", "true"] if verb == ["submit"] else []
            started.append(site.farm.start(*verb, *place, "--access-file", name, *tail))
    for process in started:
        complaint(process, 5, *patterns)
        assert b"" == process.out


def _flip(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.chmod(0o600)
    path.write_bytes(data)


def test_a_flipped_byte_is_refused_by_every_verb(site: Site) -> None:
    """A sample of all bytes, for `info`, `client` and `submit`; the server it names is there."""
    worker, client = free_ports(site.farm)
    path = generate(site.farm, "good.json", worker=worker, client=client)
    good = path.read_bytes()
    chosen = random.Random(7)
    server = site.serve("--access-file", path)
    verbs = (["client"], ["submit"], ["server", "info"])
    started = []

    for number in range(15):
        # The last byte is a line end that says nothing; it is signed all the same.
        at = (number * len(good) // 15 + chosen.randrange(20)) % len(good)
        name = site.farm.folder / f"bad-{number}.json"
        name.write_bytes(good)
        _flip(name, at, 1 << chosen.randrange(8))
        verb = verbs[number % 3]
        tail = ["--", "true"] if verb == ["submit"] else []
        started.append(site.farm.start(*verb, "--access-file", name, *tail))

    for process in started:
        complaint(process, 5)
    assert 0 == sum(site.info()["tasks"].values())
    assert [] == site.info()["clients"]
    assert "joined" not in server.err


def test_another_host_or_port_written_by_hand_is_not_followed(site: Site) -> None:
    """Somebody's listener at the changed address is never called."""
    path = generate(site.farm, "moved.json", worker=11111, client=22222)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        port = trap.getsockname()[1]
        text = path.read_text().replace("11111", str(port)).replace("22222", str(port))
        path.chmod(0o600)
        path.write_text(text)
        trap.setblocking(False)

        for words in (["client"], ["server", "info"], ["server", "stop"]):
            process = site.farm.run(*words, "--access-file", path)

            complaint(process, 5, "was changed after it was made, so it is not used")
        with pytest.raises(BlockingIOError):
            trap.accept()


STRANGE: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "empty": (lambda path, _: path.write_bytes(b""), "not a usable access file"),
    "truncated": (lambda path, good: path.write_bytes(good[:300]), "not a usable access file"),
    "not JSON": (lambda path, _: path.write_text("hello\n"), "not a usable access file"),
    "JSON of nothing": (lambda path, _: path.write_text("[]"), "not a usable access file"),
    "deep JSON": (lambda path, _: path.write_text("[" * 60000), "not a usable access file"),
    "not text": (lambda path, _: path.write_bytes(bytes(range(256))), "not a usable"),
    "newer format": (
        lambda path, good: path.write_bytes(good.replace(b'"format": 1', b'"format": 2')),
        "has format 2, made by .*; this release reads formats up to 1",
    ),
    "a directory": (lambda path, _: path.mkdir(), "it is a directory"),
    "a FIFO": (lambda path, _: os.mkfifo(path, 0o600), "it is a pipe"),
    "a socket": (lambda path, _: _make_socket(path), "it is a socket"),
    "a device": (lambda path, _: path.symlink_to("/dev/zero"), "it is a device"),
    "100 MB": (lambda path, _: _make_large(path), "larger than 65536 bytes"),
    "a loop of links": (lambda path, _: path.symlink_to(path.name), "too many levels"),
}


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        before = os.getcwd()
        os.chdir(path.parent)
        try:
            sock.bind(path.name)
        finally:
            os.chdir(before)


def _make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


@pytest.mark.parametrize(("make", "says"), STRANGE.values(), ids=STRANGE)
def test_what_is_no_access_file_is_refused(
    site: Site, make: Callable[[Path, bytes], object], says: str
) -> None:
    """Exit 5 and a clear line, at once, whatever lies there."""
    good = generate(site.farm, "good.json").read_bytes()
    path = site.farm.folder / "strange.json"
    make(path, good)
    if path.is_file() and not path.is_symlink():
        path.chmod(0o600)

    # Of five verbs two, each time others.
    turn = sum(map(ord, says)) % len(VERBS)
    refuse(site, "strange.json", says, verbs=[VERBS[turn], VERBS[(turn + 2) % len(VERBS)]])


@pytest.mark.campaign
def test_a_strange_file_in_a_directory_is_refused_too(site: Site) -> None:
    """Found by --server-dir the same holds: nothing hangs and nothing is followed."""
    site.path.mkdir(mode=0o700)
    os.mkfifo(site.path / "access.json", 0o600)

    for words in (["client"], ["server", "info"], ["submit", "--", "true"]):
        complaint(site.run(*words), 5, "it is a pipe")


def test_a_current_that_leads_elsewhere_opens_no_strange_file(site: Site) -> None:
    """A link to a directory of someone else's choice leads to no file of another seal."""
    site.path.mkdir(mode=0o700)
    trap = site.farm.folder / "trap"
    trap.mkdir()
    other = {"HYPERSHELL_SEAL_KEY": str(site.farm.folder / "other.key")}
    ports = ("--worker-port=1", "--client-port=2")
    made = site.farm.run("server", "generate-access", trap / "access.json", *ports, env=other)
    (site.path / "current").symlink_to(trap)

    process = site.run("server", "info")

    assert 0 == made.wait()
    complaint(process, 5, "is sealed with the seal key .*there is no seal key at")


@pytest.mark.campaign
def test_a_damaged_seal_key_is_named_and_never_replaced(site: Site) -> None:
    """A seal key that was damaged may be the only one there is."""
    generate(site.farm, "good.json")
    key = site.farm.folder / ".config" / "hyper-shell" / "seal.key"
    for content in (b"", b"hyper-shell-seal-1 short\n", b"\xff" * 60):
        key.write_bytes(content)

        complaint(site.farm.run("client", "--access-file", "good.json"), 5, "seal key")
        complaint(site.run("server", "start"), 5, "seal key")
        assert content == key.read_bytes()


def test_a_seal_key_that_others_can_read_is_refused(site: Site) -> None:
    """It opens every access file of this user."""
    generate(site.farm, "good.json")
    (site.farm.folder / ".config" / "hyper-shell" / "seal.key").chmod(0o644)

    process = site.farm.run("client", "--access-file", "good.json")

    complaint(process, 5, "other users can access the seal key .* \\(mode 0644\\)", "chmod 600")


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_every_tenth_byte_flipped_is_refused_by_info(site: Site) -> None:
    """Through the command line, for one verb; in one process all bytes are tried elsewhere."""
    path = generate(site.farm, "good.json")
    good = path.read_bytes()

    for at in range(0, len(good), 10):
        path.chmod(0o600)
        path.write_bytes(good)
        _flip(path, at, 0x01)

        complaint(site.farm.run("server", "info", "--access-file", path), 5)
