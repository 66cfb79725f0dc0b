"""What this user can open seals with: the seal key in its file, and perhaps a passphrase."""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypershell.access.errors import (
    NoHome,
    PassphraseMissing,
    PassphraseUnusable,
    SealKeyDamaged,
    SealKeyDiffers,
    SealKeyMissing,
    SealKeyUnmade,
    shown,
)
from hypershell.access.private_files import (
    check_private,
    create_private,
    make_private_directory,
    read_private,
)
from hypershell.access.seal import (
    KEY_BYTES,
    KEY_FILE,
    Recipe,
    Seal,
    fingerprint,
    key_seal,
    passphrase_seal,
    passphrase_seal_again,
)
from hypershell.core import environment
from hypershell.core.errors import system_reason

_PREFIX = b"hyper-shell-seal-1 "
_MAX_KEY_FILE = 4096
_MAX_PASSPHRASE = 4096


@dataclass(frozen=True, slots=True)
class Keyring:
    """The ways in that this user has. Nothing is read before it is needed.

    `key_path` is None where nothing says where the seal key would be; a passphrase does without.
    What is missing above it is made, but for the `home` by which it was found.
    """

    key_path: Path | None
    passphrase: bytes | None = field(default=None, repr=False)
    home: Path | None = None

    def open(self, recipe: Recipe, path: Path) -> Seal:
        """The seal of the access file at `path`, by the way that its recipe names.

        A seal key that is missing, other or damaged raises; so does a passphrase that was not
        given. Whether a passphrase is the right one shows only at what the seal is to open.
        """
        if recipe.by != KEY_FILE:
            if self.passphrase is None:
                raise PassphraseMissing(path=shown(path))
            return passphrase_seal_again(recipe, self.passphrase)
        key_path = self._place()
        key = _read_key(key_path)
        facts = {"path": shown(path), "key_path": shown(key_path), "theirs": recipe.key_id}
        if key is None:
            raise SealKeyMissing(**facts)
        if fingerprint(key) != recipe.key_id:
            raise SealKeyDiffers(ours=fingerprint(key), **facts)
        return Seal(recipe, key)

    def new_seal(self) -> Seal:
        """A seal for a new file: by the passphrase if there is one, else by the seal key.

        The seal key is made if this is its first use.
        """
        if self.passphrase is not None:
            return passphrase_seal(self.passphrase)
        if self.home is not None and not self.home.is_dir():
            raise _no_home()
        return key_seal(_read_or_make_key(self._place()))

    def _place(self) -> Path:
        if self.key_path is None:
            raise _no_home()
        return self.key_path


def _no_home() -> NoHome:
    return NoHome(wanted="the seal key", instead="set HYPERSHELL_SEAL_KEY to a file")


def keyring(passphrase_file: str | None, environ: Mapping[str, str]) -> Keyring:
    """The keyring of this user, from `--passphrase-file` and the environment.

    The option wins over HYPERSHELL_PASSPHRASE; an empty variable counts as none.
    """
    passphrase = None
    if passphrase_file is not None:
        passphrase = _read_passphrase(Path(passphrase_file))
    elif word := environ.get(environment.PASSPHRASE):
        passphrase = os.fsencode(word)
    path, home = _key_path(environ)
    return Keyring(path, passphrase, home)


def _key_path(environ: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    """Where the user's seal key is or would be, and the HOME that says so; None where none does."""
    if named := environ.get(environment.SEAL_KEY):
        return Path(named).absolute(), None
    config, home = environ.get("XDG_CONFIG_HOME", ""), None
    if not os.path.isabs(config):  # a relative one is to be ignored, says the XDG specification
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return None, None
        config = os.path.join(home, ".config")
    return Path(config, "hyper-shell", "seal.key"), None if home is None else Path(home)


def _read_or_make_key(path: Path) -> bytes:
    """The user's seal key. Of several that make the first one at once, all return the same."""
    try:
        key = _read_key(path)
        if key is None:
            make_private_directory(path.parent)
            create_private(path, _key_text(secrets.token_bytes(KEY_BYTES)), 0o600)
            key = _read_key(path)
    except OSError as error:
        raise SealKeyUnmade(path=shown(path), reason=system_reason(error)) from error
    if key is None:
        raise SealKeyUnmade(path=shown(path), reason="it disappeared while it was being made")
    return key


def _read_key(path: Path) -> bytes | None:
    """The key in a seal key file; None if there is no such file."""
    try:
        text = read_private(path, "seal key", _MAX_KEY_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        key = base64.b64decode(text.strip().removeprefix(_PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealKeyDamaged(path=shown(path)) from error
    if not text.startswith(_PREFIX) or len(key) != KEY_BYTES:
        raise SealKeyDamaged(path=shown(path))
    return key


def _key_text(key: bytes) -> bytes:
    return _PREFIX + base64.urlsafe_b64encode(key) + b"\n"


def _read_passphrase(path: Path) -> bytes:
    """The first line of a file; a pipe will do, as `<(pass show NAME)` gives one."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                check_private(status, path, "passphrase file", _MAX_PASSPHRASE)
            text = file.read(_MAX_PASSPHRASE + 1)
    except OSError as error:
        raise PassphraseUnusable(source=shown(path), reason=system_reason(error)) from error
    passphrase, _, rest = text.partition(b"\n")
    if rest.strip() or len(text) > _MAX_PASSPHRASE:
        raise PassphraseUnusable(source=shown(path), reason="it is more than one line")
    passphrase = passphrase.removesuffix(b"\r")
    if not passphrase:
        raise PassphraseUnusable(source=shown(path), reason="it is empty")
    return passphrase
