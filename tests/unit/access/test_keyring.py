"""The user's seal key and passphrase: where they are, who may read them, how the first is made."""

import os
import stat
from pathlib import Path

import pytest

from hypershell.access.errors import (
    FileExposed,
    FileForeign,
    FileUnreadable,
    NoHome,
    PassphraseUnusable,
    SealKeyDamaged,
    SealKeyUnmade,
)
from hypershell.access.keyring import Keyring, keyring
from hypershell.access.seal import COST, KEY_FILE, PASSPHRASE, fingerprint


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Places


def test_the_seal_key_is_in_the_users_configuration():
    """HYPERSHELL_SEAL_KEY, else XDG_CONFIG_HOME, else ~/.config."""
    home = {"HOME": "/home/u"}

    assert Path("/home/u/.config/hyper-shell/seal.key") == keyring(None, home).key_path
    xdg = {**home, "XDG_CONFIG_HOME": "/etc/u"}
    assert Path("/etc/u/hyper-shell/seal.key") == keyring(None, xdg).key_path
    named = {**xdg, "HYPERSHELL_SEAL_KEY": "/k"}
    assert Path("/k") == keyring(None, named).key_path


def test_a_relative_configuration_home_is_ignored():
    """So says the XDG specification; else a key would be made in any directory one stands in."""
    environ = {"HOME": "/home/u", "XDG_CONFIG_HOME": "conf", "HYPERSHELL_SEAL_KEY": ""}

    assert Path("/home/u/.config/hyper-shell/seal.key") == keyring(None, environ).key_path


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_no_home_is_an_error_only_where_the_key_is_needed(environ):
    """A passphrase does without."""
    ring = keyring(None, environ)

    with pytest.raises(NoHome, match="seal key") as caught:
        ring.new_seal()
    assert "HYPERSHELL_SEAL_KEY" in caught.value.advice
    word = keyring(None, {**environ, "HYPERSHELL_PASSPHRASE": "word"})
    assert PASSPHRASE == word.new_seal().recipe.by


# The first key


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_the_first_key_is_0600_in_0700_directories(tmp_path, mask):
    """Whatever the umask, also for the directories above it."""
    ring = Keyring(tmp_path / "config" / "hyper-shell" / "seal.key")
    before = os.umask(mask)
    try:
        ring.new_seal()
    finally:
        os.umask(before)

    assert 0o600 == mode_of(tmp_path / "config" / "hyper-shell" / "seal.key")
    assert 0o700 == mode_of(tmp_path / "config" / "hyper-shell")
    assert 0o700 == mode_of(tmp_path / "config")
    assert ["seal.key"] == os.listdir(tmp_path / "config" / "hyper-shell")


def test_the_key_stays_and_each_file_has_a_seal_of_its_own(tmp_path):
    """The same fingerprint, another salt."""
    ring = Keyring(tmp_path / "seal.key")

    one, two = ring.new_seal(), ring.new_seal()

    assert KEY_FILE == one.recipe.by
    assert one.recipe.key_id == two.recipe.key_id
    assert one.recipe.salt != two.recipe.salt
    with pytest.raises(ValueError, match="sealed with another key"):
        two.open(one.close("secret"))


def test_all_who_make_the_first_key_at_once_get_the_same(tmp_path, fork):
    """Twenty processes, one key."""
    path = tmp_path / "new" / "seal.key"
    reader, writer = os.pipe()

    def child() -> None:
        os.write(writer, Keyring(path).new_seal().recipe.key_id.encode() + b"\n")

    for _ in range(20):
        fork(child)
    os.close(writer)
    with open(reader, "rb") as pipe:
        ids = pipe.read().split()

    assert 20 == len(ids)
    assert 1 == len(set(ids))
    assert ["seal.key"] == os.listdir(path.parent)


def test_a_place_that_cannot_be_written_is_a_clear_error(ordinary_user):
    """As an ordinary user; the way out is named."""

    def attempt(folder: Path) -> None:
        folder.chmod(0o500)
        Keyring(folder / "config" / "seal.key").new_seal()

    message = ordinary_user(attempt)

    assert message.startswith("SealKeyUnmade: cannot make the seal key")
    assert message.endswith("permission denied")


def test_a_file_where_a_directory_should_be_is_a_clear_error(tmp_path):
    """~/.config is a file, say."""
    (tmp_path / "config").touch()

    with pytest.raises(SealKeyUnmade) as caught:
        Keyring(tmp_path / "config" / "hyper-shell" / "seal.key").new_seal()

    assert "HYPERSHELL_SEAL_KEY" in caught.value.advice


# A key that is there


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"hyper-shell-seal-1 \n",
        b"hyper-shell-seal-1 AAAA\n",
        b"hyper-shell-seal-1 " + b"A" * 42 + b"!=\n",
        b"A" * 43 + b"=\n",
        b"hyper-shell-seal-2 " + b"A" * 43 + b"=\n",
        b"\xff" * 60,
    ],
)
def test_a_damaged_key_is_refused_and_left_alone(tmp_path, text):
    """It may be the only trace of what it was."""
    path = tmp_path / "seal.key"
    path.touch(0o600)
    path.write_bytes(text)

    with pytest.raises(SealKeyDamaged, match=r"seal\.key"):
        Keyring(path).new_seal()

    assert text == path.read_bytes()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_an_exposed_key_is_refused(tmp_path, mode):
    """With the cure."""
    ring = Keyring(tmp_path / "seal.key")
    ring.new_seal()
    (tmp_path / "seal.key").chmod(mode)

    with pytest.raises(FileExposed, match="the seal key") as caught:
        ring.new_seal()

    assert "chmod 600" in caught.value.advice


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_another_owner_is_refused(tmp_path):
    """Its owner could read all that it seals."""
    ring = Keyring(tmp_path / "seal.key")
    ring.new_seal()
    os.chown(tmp_path / "seal.key", 12345, -1)

    with pytest.raises(FileForeign):
        ring.new_seal()


@pytest.mark.timeout(10)
def test_a_pipe_as_a_key_does_not_hang(tmp_path):
    """Refused like everything that is no file."""
    os.mkfifo(tmp_path / "seal.key", 0o600)

    with pytest.raises(FileUnreadable, match="it is a pipe"):
        Keyring(tmp_path / "seal.key").new_seal()


def test_a_fingerprint_tells_keys_apart_and_nothing_else():
    """16 digits that are no part of the key or of what it derives."""
    key = bytes(range(32))

    assert 16 == len(fingerprint(key))
    assert fingerprint(key) != fingerprint(bytes(32))
    assert fingerprint(key) not in key.hex()


# Passphrases


def test_the_option_wins_over_the_environment(tmp_path):
    """Its first line, without the line end."""
    path = tmp_path / "word"
    path.touch(0o600)
    environ = {"HOME": "/h", "HYPERSHELL_PASSPHRASE": "from outside"}

    for text in (b"from file", b"from file\n", b"from file\r\n", b"from file\n\n"):
        path.write_bytes(text)
        assert b"from file" == keyring(str(path), environ).passphrase
    assert b"from outside" == keyring(None, environ).passphrase
    assert keyring(None, {"HOME": "/h", "HYPERSHELL_PASSPHRASE": ""}).passphrase is None


def test_a_passphrase_seals_with_its_cost_stated():
    """scrypt, N = 2^15."""
    recipe = Keyring(None, b"word").new_seal().recipe

    assert (PASSPHRASE, COST, "") == (recipe.by, recipe.cost, recipe.key_id)
    assert {"n": 32768, "r": 8, "p": 1, "kdf": "scrypt"}.items() <= recipe.to_fields().items()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"one\ntwo\n", "more than one line"),
        (b"a" * 5000, "larger than"),
    ],
)
def test_what_cannot_be_a_passphrase_is_refused(tmp_path, text, reason):
    """A file with more in it is another file, named by mistake."""
    path = tmp_path / "word"
    path.touch(0o600)
    path.write_bytes(text)

    with pytest.raises((PassphraseUnusable, FileUnreadable), match=reason):
        keyring(str(path), {})


def test_an_exposed_passphrase_file_is_refused(tmp_path):
    """As every other secret."""
    (tmp_path / "word").write_text("word")
    (tmp_path / "word").chmod(0o644)

    with pytest.raises(FileExposed, match="the passphrase file"):
        keyring(str(tmp_path / "word"), {})


def test_a_missing_passphrase_file_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(PassphraseUnusable, match="no such file"):
        keyring(str(tmp_path / "none"), {})


def test_a_passphrase_may_come_through_a_pipe():
    """As from `<(pass show NAME)`."""
    reader, writer = os.pipe()
    os.write(writer, b"word\n")
    os.close(writer)

    assert b"word" == keyring(f"/dev/fd/{reader}", {}).passphrase
    os.close(reader)
