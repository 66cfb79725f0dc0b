"""Access files: what is written, what is refused, and in which words."""

import json
import os
import stat
from pathlib import Path

import pytest

from hypershell.access.access_file import inspect, write, write_together
from hypershell.access.endpoints import FULL, Access, Endpoint, access_to, generate
from hypershell.access.errors import (
    AccessFileDamaged,
    AccessFileExists,
    AccessFileMissing,
    AccessFileNewer,
    AccessFileTampered,
    AccessFileUnwritable,
    FileExposed,
    FileForeign,
    FileUnreadable,
    PartMissing,
    PassphraseMissing,
    PassphraseWrong,
    SealKeyDiffers,
    SealKeyMissing,
)
from hypershell.access.keyring import Keyring
from hypershell.access.keys import CLIENT, WORKER
from hypershell.access.private_files import read_private
from hypershell.access.seal import passphrase_seal
from hypershell.core.errors import HyperShellError, Refused, UsageError
from tests.helpers.access import read
from tests.helpers.farm import rarely

OLD_FILES = Path(__file__).parent / "old"


def rewritten(path: Path, text: bytes) -> Path:
    """The same file with another content, and nothing else wrong with it."""
    path.chmod(0o600)
    path.write_bytes(text)
    return path


def changed(path: Path, **members: object) -> Path:
    """The same file with other members, laid out as before; None removes one."""
    fields = json.loads(path.read_bytes())
    mac = fields.pop("mac")
    fields.update(members)
    kept = {name: value for name, value in fields.items() if value is not None}
    return rewritten(path, (json.dumps({**kept, "mac": mac}, indent=2) + "\n").encode())


def refusal(path: Path, ring: Keyring) -> Refused:
    """How the file is refused; one line that names it, and one that says what to do."""
    with pytest.raises(Refused) as caught:
        read(path, ring)
    error = caught.value
    assert 5 == error.exit_code
    assert path.name in str(error)
    assert str(error).isprintable()
    assert error.advice.isprintable()
    assert error.advice
    return error


# Round trips


def test_a_file_opens_what_it_was_made_for(access_file, access, ring):
    """Hosts, ports and keys come back as they were."""
    assert access == read(access_file, ring)


def test_a_word_of_the_users_own_comes_back_byte_for_byte(tmp_path, ring):
    """A key from the command line may hold any bytes."""
    word = b"caf\xc3\xa9 \xff{}\n".decode("utf-8", "surrogateescape")
    access = access_to("uid", Endpoint("::1", 1, word), Endpoint("fe80::1%eth0", 65535, "key"))

    write(tmp_path / "a", access, ring.new_seal())

    assert access == read(tmp_path / "a", ring)


def test_a_file_is_json_that_says_where_the_server_is(access_file, access):
    """People can read the addresses; the keys are not to be found in it."""
    fields = json.loads(access_file.read_bytes())

    assert 1 == fields["format"]
    assert access.server_uid == fields["server_uid"]
    assert ("node1", 1234) == (fields["worker"]["host"], fields["worker"]["port"])
    assert ("login.example.org", 6789) == (fields["client"]["host"], fields["client"]["port"])


def test_no_sixteen_bytes_of_a_key_stand_in_the_file(access_file, access):
    """Keys are sealed."""
    text = access_file.read_text()

    for endpoint in access.endpoints.values():
        assert not [i for i in range(len(endpoint.key) - 15) if endpoint.key[i : i + 16] in text]


def test_keys_are_not_shown_by_accident(access, ring):
    """A traceback or a log line that shows these values tells no secret."""
    seal = ring.new_seal()
    word = Keyring(None, b"a secret phrase")

    text = repr((access, seal, word))

    assert "hs1_" not in text
    assert "secret phrase" not in text
    assert "_root" not in text


@pytest.mark.parametrize("name", ["key-file", "passphrase"])
def test_files_of_format_1_open_for_ever(tmp_path, name):
    """Files made in advance survive upgrades: these were made by the first release."""
    ring = Keyring(tmp_path / "seal.key", b"correct horse battery staple\xff")
    for file in (f"{name}.json", "seal.key"):
        (tmp_path / file).write_bytes((OLD_FILES / file).read_bytes())
        (tmp_path / file).chmod(0o600)

    access = read(tmp_path / f"{name}.json", ring)

    assert "k3x9ab" == access.server_uid
    assert access.worker is not None
    assert ("node1", 1234, "an old word of the user") == (
        access.worker.host,
        access.worker.port,
        access.worker.key,
    )
    assert access.client is not None
    assert "hs1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" == access.client.key


# Modes and names


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_a_file_is_0400_whatever_the_umask(tmp_path, access, ring, mask):
    """The owner can read it and nobody else can do anything."""
    seal = ring.new_seal()
    before = os.umask(mask)
    try:
        write(tmp_path / "a.json", access, seal)
    finally:
        os.umask(before)

    assert 0o400 == stat.S_IMODE((tmp_path / "a.json").stat().st_mode)
    assert ["a.json", "config"] == sorted(os.listdir(tmp_path))


def test_no_file_is_open_to_others_for_an_instant(tmp_path, access, ring, fork):
    """Another process looks at every name that appears, all the time, and finds no such mode."""
    folder = tmp_path / "watched"
    folder.mkdir()
    seal = ring.new_seal()
    go_on, stop = os.pipe()
    reader, writer = os.pipe()
    os.set_blocking(go_on, False)

    def watch() -> None:
        os.close(stop)
        names, modes = set(), set()
        while not ended(go_on):
            for entry in os.scandir(folder):
                names.add(entry.name[0])
                try:
                    modes.add(stat.S_IMODE(entry.stat().st_mode))
                except FileNotFoundError:
                    continue
        os.write(writer, json.dumps([sorted(names), sorted(modes)]).encode())

    fork(watch)
    os.close(writer)
    before = os.umask(0)
    try:
        for number in range(150):
            write(folder / f"a{number}", access, seal)
            (folder / f"a{number}").unlink()
    finally:
        os.umask(before)
    os.close(stop)
    with open(reader, "rb") as pipe:
        names, modes = json.loads(pipe.read())

    assert [".", "a"] == names  # it did see the temporary ones
    assert [0o400] == modes


def test_a_file_is_closed_to_others_before_anything_is_done_to_it(tmp_path, access, ring, fork):
    """Killed right after it was made, under a umask of 0: what is left has its mode."""
    folder = tmp_path / "folder"
    folder.mkdir()
    seal = ring.new_seal()

    def child() -> None:
        os.umask(0)
        os.fchmod = lambda *_: os._exit(0)
        write(folder / "a.json", access, seal)

    os.waitpid(fork(child), 0)

    assert [0o400] == [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()]


def ended(pipe: int) -> bool:
    """Whether the other end of a pipe was closed."""
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


def test_nothing_is_written_over(tmp_path, access, ring):
    """Not a file, not a link that leads nowhere, not a directory."""
    seal = ring.new_seal()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()

    for name in ("file", "link", "folder"):
        with pytest.raises(AccessFileExists, match="not overwritten") as caught:
            write(tmp_path / name, access, seal)
        assert 3 == caught.value.exit_code

    assert "mine" == (tmp_path / "file").read_text()
    assert ["config", "file", "folder", "link"] == sorted(os.listdir(tmp_path))


def test_of_racing_writers_one_wins(tmp_path, access, ring, fork):
    """Ten write the same name at once: one file, whole, and nine told so."""
    seal = ring.new_seal()
    reader, writer = os.pipe()

    def child() -> None:
        try:
            write(tmp_path / "a.json", access, seal)
            os.write(writer, b"w")
        except AccessFileExists:
            os.write(writer, b"l")

    for _ in range(10):
        fork(child)
    os.close(writer)
    with open(reader, "rb") as pipe:
        results = pipe.read()

    assert b"lllllllllw" == bytes(sorted(results))
    assert access == read(tmp_path / "a.json", ring)


def test_a_directory_that_is_not_there_is_a_clear_error(tmp_path, access, ring):
    """The path and the reason, and exit status 3."""
    with pytest.raises(AccessFileUnwritable, match="no such file or directory") as caught:
        write(tmp_path / "none" / "a.json", access, ring.new_seal())

    assert 3 == caught.value.exit_code


def test_several_files_are_made_together_or_not_at_all(tmp_path, access, ring):
    """The third name is taken: the first two are not left behind."""
    full, client, worker = (tmp_path / name for name in ("full", "client", "worker"))
    worker.write_text("mine")
    files = [(full, access), (client, access.only(CLIENT)), (worker, access.only(WORKER))]

    with pytest.raises(AccessFileExists):
        write_together(files, ring.new_seal())

    assert ["config", "worker"] == sorted(os.listdir(tmp_path))
    assert "mine" == worker.read_text()


def test_one_name_for_two_files_is_an_error(tmp_path, access, ring):
    """`generate-access a.json --client-file=a.json` must not lose the full one silently."""
    both = [(tmp_path / "a", access), (tmp_path / "a", access.only(CLIENT))]

    with pytest.raises(AccessFileExists):
        write_together(both, ring.new_seal())

    assert not (tmp_path / "a").exists()


# Who may read


@pytest.mark.parametrize("mode", [0o644, 0o440, 0o604, 0o420, 0o402, 0o410, 0o401, 0o777])
def test_an_exposed_file_is_refused(access_file, ring, mode):
    """Whatever it gives to others; the hint is the cure."""
    access_file.chmod(mode)

    error = refusal(access_file, ring)

    assert isinstance(error, FileExposed)
    assert f"{mode:04o}" in str(error)
    assert "chmod 600" in error.advice


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_closed_to_others_is_read(access_file, access, ring, mode):
    """What a user does to a file of his own is his business."""
    access_file.chmod(mode)

    assert access == read(access_file, ring)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_owner_is_refused(access_file, ring):
    """Its owner could change it at any time."""
    os.chown(access_file, 12345, -1)

    error = refusal(access_file, ring)

    assert isinstance(error, FileForeign)
    assert "12345" in str(error)
    assert "chmod 600" in error.advice


def test_a_file_that_may_not_be_read_is_refused(ordinary_user):
    """As an ordinary user: no traceback, and no word of a missing file."""

    def attempt(folder: Path) -> None:
        (folder / "closed").mkdir()
        (folder / "closed" / "a").touch()
        (folder / "closed").chmod(0)
        read(folder / "closed" / "a", Keyring(folder / "key"))

    message = ordinary_user(attempt)

    assert message.startswith("FileUnreadable: cannot read the access file")
    assert "permission denied" in message


def test_a_link_to_a_good_file_is_followed(tmp_path, access_file, access, ring):
    """Users keep such files elsewhere and link to them."""
    (tmp_path / "link").symlink_to("access.json")

    assert access == read(tmp_path / "link", ring)


def test_a_link_to_an_exposed_file_is_refused(tmp_path, access_file, ring):
    """What counts is the file that was opened."""
    access_file.chmod(0o644)
    (tmp_path / "link").symlink_to("access.json")

    assert isinstance(refusal(tmp_path / "link", ring), FileExposed)


# Malformed input of every kind


@pytest.mark.parametrize("flip", [0x01, rarely(0x04), 0x20, rarely(0x2A), 0x80, rarely(0xFF)])
def test_every_byte_matters(access_file, ring, flip):
    """Each byte of the file flipped in turn, blanks too: refused, in one clear line."""
    text = access_file.read_bytes()

    for place in range(len(text)):
        damaged = bytearray(text)
        damaged[place] ^= flip
        refusal(rewritten(access_file, bytes(damaged)), ring)


def test_every_byte_matters_under_a_passphrase(tmp_path, access):
    """A sample, as each try takes its tenth of a second."""
    ring = Keyring(None, b"word")
    path = tmp_path / "a.json"
    write(path, access, ring.new_seal())
    text = path.read_bytes()

    for place in range(7, len(text), 97):
        damaged = bytearray(text)
        damaged[place] ^= 1
        refusal(rewritten(path, bytes(damaged)), ring)


def test_every_truncation_is_refused(access_file, ring):
    """Also by the last byte alone."""
    text = access_file.read_bytes()

    for length in range(len(text)):
        refusal(rewritten(access_file, text[:length]), ring)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"\0" * 500,
        b"\xff\xfe",
        b"not JSON",
        b"[]",
        b"{}",
        b"null",
        b"1e999",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"format": 1' + b"1" * 60_000 + b"}",
        b'{"format": NaN}',
        b'{"format": true}',
        b'{"format": 1.0}',
        b'{"format": "1"}',
        b'{"format": 0}',
        b'{"format": -1}',
        b'{"format": 1, "format": 1}',
        b'{"format": 1}',
        '{"format": 1, "program": "\u00e9"}'.encode(),
    ],
)
def test_what_is_no_access_file_is_refused(access_file, ring, text):
    """Whatever it is; and the reason says what."""
    error = refusal(rewritten(access_file, text), ring)

    assert isinstance(error, AccessFileDamaged)
    assert "is not a usable access file: " in str(error)


GOOD_DOOR = {"host": "a", "port": 1, "secret_key": "x"}


@pytest.mark.parametrize(
    "members",
    [
        {"program": None},
        {"program": 5},
        {"program": "1.0\x1b[31m"},
        {"server_uid": ["k3x9ab"]},
        {"server_uid": "../../etc"},
        {"seal": None},
        {"seal": "key-file"},
        {"seal": {"by": "rot13"}},
        {"seal": {"by": ["key-file"]}},
        {"seal": {"by": "key-file", "key_id": "0" * 16}},
        {"seal": {"by": "key-file", "key_id": "0" * 16, "salt": "zz" * 16}},
        {"seal": {"by": "key-file", "key_id": 7, "salt": "00" * 16}},
        {"client": None, "worker": None},
        {"client": []},
        {"worker": {**GOOD_DOOR, "host": ""}},
        {"worker": {**GOOD_DOOR, "host": "a b"}},
        {"worker": {**GOOD_DOOR, "host": "a\n"}},
        {"worker": {**GOOD_DOOR, "host": "\ud800"}},
        {"worker": {**GOOD_DOOR, "host": "a" * 256}},
        {"worker": {**GOOD_DOOR, "host": None}},
        {"worker": {**GOOD_DOOR, "port": 0}},
        {"worker": {**GOOD_DOOR, "port": 65536}},
        {"worker": {**GOOD_DOOR, "port": True}},
        {"worker": {**GOOD_DOOR, "port": 1.0}},
        {"worker": {**GOOD_DOOR, "port": "1"}},
        {"worker": {**GOOD_DOOR, "secret_key": ""}},
        {"worker": {**GOOD_DOOR, "secret_key": 1}},
    ],
)
def test_a_member_that_is_not_as_it_must_be_is_refused(access_file, ring, members):
    """Before anything is done with it; the reason names it."""
    error = refusal(changed(access_file, **members), ring)

    assert isinstance(error, AccessFileDamaged)
    assert ": it" in str(error) or ": the " in str(error)


@pytest.mark.parametrize("cost", [0, 1, 2**13, 2**15 + 1, 2**18, 2**40, -1, True, 32768.0, "2"])
def test_a_hostile_cost_is_not_paid(access_file, cost):
    """A file cannot make its reader eat memory, or make the passphrase cheap to guess."""
    seal = {"by": "passphrase", "salt": "00" * 16, "n": cost, "kdf": "scrypt", "r": 8, "p": 1}

    error = refusal(changed(access_file, seal=seal), Keyring(None, b"word"))

    assert isinstance(error, AccessFileDamaged)
    assert "cost" in str(error)


@pytest.mark.parametrize("other", [{"r": 2**20}, {"p": 2**20}, {"kdf": "md5"}, {"r": None}])
def test_another_kdf_is_not_run(access_file, other):
    """Its memory grows with r, its time with p."""
    seal = {"by": "passphrase", "salt": "00" * 16, "n": 2**15, "kdf": "scrypt", "r": 8, "p": 1}

    error = refusal(changed(access_file, seal={**seal, **other}), Keyring(None, b"word"))

    assert isinstance(error, AccessFileDamaged)


def test_a_newer_format_is_refused_by_name(access_file, ring):
    """With the program that made it; whatever else stands in it may mean something else."""
    text = b'{"format": 2, "program": "3.1.4", "seal": 5}'

    error = refusal(rewritten(access_file, text), ring)

    assert isinstance(error, AccessFileNewer)
    said = "has format 2, made by hyper-shell 3.1.4; this release reads formats up to 1"
    assert said in str(error)


def test_a_newer_format_cannot_write_to_the_terminal(access_file, ring):
    """The program's name is shown only if it is one."""
    text = b'{"format": 2, "program": "\\u001b[2J\\n"}'

    assert "another program" in str(refusal(rewritten(access_file, text), ring))


def test_members_of_later_releases_are_let_be(access_file, access, ring):
    """The same format may carry more; the MAC covers it as it does the rest."""
    fields = json.loads(access_file.read_bytes())
    seal = ring.open(inspect(access_file, ring).recipe, access_file)
    fields.pop("mac")
    body = json.dumps({**fields, "note": [1]}, indent=2).removesuffix("\n}") + ',\n  "mac": "'
    mac = seal.sign(body.encode())

    rewritten(access_file, f'{body}{mac}"\n}}\n'.encode())

    assert access == read(access_file, ring)


def test_a_key_from_another_file_of_the_user_is_not_taken(tmp_path, access_file, access, ring):
    """The seal key is the same, the file is not."""
    write(tmp_path / "b.json", access, ring.new_seal())
    other = json.loads((tmp_path / "b.json").read_bytes())

    assert isinstance(
        refusal(changed(access_file, worker=other["worker"]), ring), AccessFileTampered
    )


def test_a_member_that_stands_twice_is_refused(access_file, tmp_path):
    """It could mean one thing here and another elsewhere; also for those who only look."""
    text = access_file.read_bytes()
    rewritten(access_file, text.replace(b'  "worker"', b'  "program": "1.0.0",\n  "worker"'))

    with pytest.raises(AccessFileDamaged, match="not JSON"):
        inspect(access_file, Keyring(tmp_path / "none"))


def test_a_directory_is_refused(tmp_path, ring):
    """In words of its own."""
    error = refusal(tmp_path, ring)

    assert isinstance(error, FileUnreadable)
    assert "it is a directory" in str(error)


@pytest.mark.timeout(10)
def test_a_pipe_is_refused_and_does_not_hang(tmp_path, ring):
    """Nobody ever writes to it."""
    os.mkfifo(tmp_path / "pipe", 0o600)

    assert "it is a pipe" in str(refusal(tmp_path / "pipe", ring))


def test_a_device_is_refused(ring):
    """It has no end."""
    assert "it is a device" in str(refusal(Path("/dev/zero"), ring))


def test_a_huge_file_is_refused_unread(tmp_path, ring):
    """100 MB of nothing."""
    path = tmp_path / "huge"
    path.touch(0o600)
    os.truncate(path, 100_000_000)

    assert "larger than 65536 bytes" in str(refusal(path, ring))


def test_a_file_that_grows_as_it_is_read_is_not_read_for_ever():
    """The kernel's own files have more in them than their size says."""
    with pytest.raises(FileUnreadable, match="larger than 10 bytes"):
        read_private(Path("/proc/self/environ"), "access file", 10)


def test_a_loop_of_links_is_refused(tmp_path, ring):
    """A link to itself."""
    (tmp_path / "loop").symlink_to("loop")

    assert isinstance(refusal(tmp_path / "loop", ring), FileUnreadable)


@pytest.mark.parametrize("name", ["none", "file/none", "dangling"])
def test_a_missing_file_is_no_server_yet(tmp_path, ring, name):
    """A client may wait for it: exit status 4, not 5."""
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")

    with pytest.raises(AccessFileMissing) as caught:
        read(tmp_path / name, ring)

    assert 4 == caught.value.exit_code


def test_a_name_cannot_break_the_message(tmp_path, ring):
    """Line ends, escapes and bytes that are no text come out on one line."""
    path = tmp_path / "a\n\x1b[2J\udcff{path}"

    with pytest.raises(AccessFileMissing) as caught:
        read(path, ring)

    assert str(caught.value).isprintable()
    assert caught.value.advice.isprintable()


# Seals


def test_a_file_sealed_with_a_key_that_is_not_here_says_which(tmp_path, access_file):
    """Fingerprint, and the two ways out."""
    elsewhere = Keyring(tmp_path / "elsewhere" / "seal.key")
    sealed_by = json.loads(access_file.read_bytes())["seal"]["key_id"]

    missing = refusal(access_file, elsewhere)
    elsewhere.new_seal()
    differs = refusal(access_file, elsewhere)

    assert isinstance(missing, SealKeyMissing)
    assert isinstance(differs, SealKeyDiffers)
    for error in (missing, differs):
        assert sealed_by in str(error)
        assert "copy that key" in error.advice
        assert "hyper-shell access reseal" in error.advice


def test_looking_for_a_key_does_not_make_one(tmp_path, access_file):
    """Only sealing does."""
    elsewhere = Keyring(tmp_path / "elsewhere" / "seal.key")

    refusal(access_file, elsewhere)

    assert not (tmp_path / "elsewhere").exists()


def test_a_passphrase_opens_what_it_closed_and_no_other_does(tmp_path, access):
    """None given, and a wrong one given, are told apart."""
    path = tmp_path / "a.json"
    write(path, access, passphrase_seal(b"right"))

    assert access == read(path, Keyring(None, b"right"))
    assert isinstance(refusal(path, Keyring(None, b"wrong")), PassphraseWrong)
    assert isinstance(refusal(path, Keyring(None)), PassphraseMissing)


def test_the_right_passphrase_tells_a_changed_file(tmp_path, access):
    """A host changed by hand is not blamed on the passphrase, and not followed."""
    path = tmp_path / "a.json"
    write(path, access, passphrase_seal(b"right"))

    rewritten(path, path.read_bytes().replace(b"node1", b"node2"))

    assert isinstance(refusal(path, Keyring(None, b"right")), AccessFileTampered)


def test_a_file_is_resealed_to_travel(tmp_path, access_file, access, ring):
    """The copy opens the same with the passphrase alone; the original stays."""
    out = tmp_path / "out.json"

    write(out, read(access_file, ring), passphrase_seal(b"word"))

    assert access == read(out, Keyring(None, b"word"))
    assert access == read(access_file, ring)
    assert 0o400 == stat.S_IMODE(out.stat().st_mode)


# Parts


def test_a_part_holds_one_plane_and_nothing_of_the_other(tmp_path, access, ring):
    """It opens by itself, with a MAC of its own."""
    for plane, other in ((CLIENT, WORKER), (WORKER, CLIENT)):
        write(tmp_path / plane, access.only(plane), ring.new_seal())
        part = read(tmp_path / plane, ring)

        assert plane == part.part
        assert access.endpoints[plane] == part.endpoints[plane]
        assert other not in part.endpoints
        assert f'"{other}"' not in (tmp_path / plane).read_text()


def test_a_command_says_which_part_it_needs_and_which_the_file_has(access):
    """The wrong part, for each of those who ask."""
    path = Path("part.json")
    client, worker = access.only(CLIENT), access.only(WORKER)

    with pytest.raises(PartMissing) as for_client:
        client.endpoint(WORKER, "hyper-shell client", path)
    with pytest.raises(PartMissing) as for_submit:
        worker.endpoint(CLIENT, "hyper-shell submit", path)
    with pytest.raises(PartMissing) as for_server:
        worker.need_full("hyper-shell server start", path)

    assert str(for_client.value) == (
        "part.json has only the client part; `hyper-shell client` needs the worker part"
    )
    assert "`hyper-shell submit` needs the client part" in str(for_submit.value)
    assert "`hyper-shell server start` needs both parts" in str(for_server.value)
    assert "--worker-file" in for_client.value.advice
    assert "--client-file" in for_submit.value.advice
    assert 5 == for_client.value.exit_code


def test_the_full_file_serves_everybody(access):
    """Each plane, and the server."""
    path = Path("full.json")

    assert FULL == access.part
    assert access.worker == access.endpoint(WORKER, "hyper-shell client", path)
    assert access.client == access.endpoint(CLIENT, "hyper-shell submit", path)
    assert access == access.need_full("hyper-shell server start", path)


# Looking without opening


def test_a_look_at_a_file_needs_no_seal(tmp_path, access_file, access):
    """Then it is unverified, and says so."""
    seen = inspect(access_file, Keyring(tmp_path / "none"))

    assert not seen.verified
    assert (1, access.server_uid, FULL) == (seen.format, seen.server_uid, seen.part)
    assert {"worker": ("node1", 1234), "client": ("login.example.org", 6789)} == seen.addresses
    assert "key-file" == seen.recipe.by


def test_a_look_with_the_seal_is_verified(access_file, ring):
    """And one at a changed file is refused."""
    assert inspect(access_file, ring).verified

    rewritten(access_file, access_file.read_bytes().replace(b"node1", b"node2"))

    with pytest.raises(AccessFileTampered):
        inspect(access_file, ring)


def test_a_look_at_a_travelling_file_without_its_passphrase_is_unverified(tmp_path, access):
    """None given, or a wrong one."""
    write(tmp_path / "a", access, passphrase_seal(b"right"))

    assert not inspect(tmp_path / "a", Keyring(None)).verified
    assert not inspect(tmp_path / "a", Keyring(None, b"wrong")).verified
    assert inspect(tmp_path / "a", Keyring(None, b"right")).verified


# Making


@pytest.mark.parametrize("host", ["", "a b", "a\n", "b\u00fccher", "x" * 300, "-\x00"])
def test_a_host_that_cannot_be_one_is_a_usage_error(host):
    """Before a file is made that nobody could read."""
    with pytest.raises(UsageError, match="for the worker port"):
        generate((host, 1), ("localhost", 1))


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_nobody_can_connect_to_is_a_usage_error(port):
    """0 would mean a port that is not known yet."""
    with pytest.raises(UsageError, match="not a valid client port"):
        generate(("localhost", 1), ("localhost", port))


def test_keys_are_new_each_time_and_differ_by_plane():
    """One plane's key opens nothing on the other."""
    keys = {
        endpoint.key
        for _ in range(3)
        for endpoint in generate(("localhost", 1), ("localhost", 2)).endpoints.values()
    }

    assert 6 == len(keys)


def test_every_error_of_a_file_is_in_the_tree(access_file: Path, access: Access, ring: Keyring):
    """`except HyperShellError` is all that a caller needs."""
    rewritten(access_file, b"\xff")

    with pytest.raises(HyperShellError):
        read(access_file, ring)
