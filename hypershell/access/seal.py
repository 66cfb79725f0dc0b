"""Seals: what encrypts the keys in an access file and vouches for all the rest of it.

A seal grows from one root secret, the user's seal key or a passphrase, through a salt of its own
for each file. How to grow it again is its recipe, which stands in the file in the clear.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY_FILE = "key-file"
PASSPHRASE = "passphrase"

KEY_BYTES = 32

COST = 2**15
"""scrypt's N for new seals: 32 MiB and about a tenth of a second for each guess."""

_COSTS = frozenset({2**14, 2**15, 2**16, 2**17})
"""The costs that are paid when opening: a hostile file gets 128 MiB of memory and no more."""

_SCRYPT = {"kdf": "scrypt", "r": 8, "p": 1}
_SALT_BYTES = 16
_FINGERPRINT_BYTES = 8
_LABEL = b"hyper-shell access file 1: "


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a seal was made: nothing secret, and enough to make it again from the root.

    `key_id` is the fingerprint of the seal key; `cost` is scrypt's N for a passphrase.
    """

    by: str
    salt: bytes
    key_id: str = ""
    cost: int = 0

    def to_fields(self) -> dict[str, Any]:
        """As it stands in an access file."""
        if self.by == KEY_FILE:
            return {"by": self.by, "key_id": self.key_id, "salt": self.salt.hex()}
        return {"by": self.by, "salt": self.salt.hex(), "n": self.cost, **_SCRYPT}


@dataclass(frozen=True, slots=True)
class Seal:
    """Closes and opens the keys of one access file, and signs it. Made by the functions below."""

    recipe: Recipe
    _root: bytes = field(repr=False)

    def close(self, secret: str) -> str:
        """Encrypt a key."""
        return self._fernet().encrypt(secret.encode("utf-8", "surrogateescape")).decode()

    def open(self, token: str) -> str:
        """Decrypt a key; ValueError if this seal did not close it."""
        try:
            plain = self._fernet().decrypt(token.encode())
        except InvalidToken as error:
            raise ValueError("sealed with another key") from error
        return plain.decode("utf-8", "surrogateescape")

    def sign(self, text: bytes) -> str:
        """The MAC of a file's text, in hexadecimal."""
        return hmac.new(self._derive(b"mac"), text, "sha256").hexdigest()

    def vouches_for(self, text: bytes, mac: str) -> bool:
        """Whether this seal signed exactly this text."""
        return hmac.compare_digest(self.sign(text), mac)

    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._derive(b"keys")))

    def _derive(self, purpose: bytes) -> bytes:
        """A secret for one purpose in one file; none of them tells anything of another."""
        return _hkdf(self._root, self.recipe.salt, _LABEL + purpose, 32)


def fingerprint(key: bytes) -> str:
    """What a message may say about a seal key: 16 hexadecimal digits that tell it from others."""
    return _hkdf(key, b"", b"hyper-shell seal key fingerprint", _FINGERPRINT_BYTES).hex()


def key_seal(key: bytes) -> Seal:
    """A new seal by the user's seal key."""
    return Seal(Recipe(KEY_FILE, secrets.token_bytes(_SALT_BYTES), key_id=fingerprint(key)), key)


def passphrase_seal(passphrase: bytes) -> Seal:
    """A new seal by a passphrase; takes about a tenth of a second."""
    recipe = Recipe(PASSPHRASE, secrets.token_bytes(_SALT_BYTES), cost=COST)
    return passphrase_seal_again(recipe, passphrase)


def passphrase_seal_again(recipe: Recipe, passphrase: bytes) -> Seal:
    """The seal that this passphrase makes by a recipe, right or wrong."""
    scrypt = Scrypt(salt=recipe.salt, length=KEY_BYTES, n=recipe.cost, r=8, p=1)
    return Seal(recipe, scrypt.derive(passphrase))


def recipe_from(fields: object) -> Recipe:
    """Read a recipe from an access file; ValueError names the field that is wrong."""
    if not isinstance(fields, dict):
        raise ValueError("it does not say how it is sealed")
    by = fields.get("by")
    if by == KEY_FILE:
        return Recipe(by, _salt(fields), key_id=_hexadecimal(fields, "key_id", _FINGERPRINT_BYTES))
    if by == PASSPHRASE:
        if any(fields.get(name) != value for name, value in _SCRYPT.items()):
            raise ValueError("its passphrase seal is not made with scrypt, r=8, p=1")
        cost = fields.get("n")
        if type(cost) is not int or cost not in _COSTS:
            raise ValueError(f"the cost of its passphrase seal is not one of {sorted(_COSTS)}")
        return Recipe(by, _salt(fields), cost=cost)
    raise ValueError(f"it is sealed neither by {KEY_FILE} nor by {PASSPHRASE}")


def _salt(fields: dict[str, Any]) -> bytes:
    return bytes.fromhex(_hexadecimal(fields, "salt", _SALT_BYTES))


def _hexadecimal(fields: dict[str, Any], name: str, length: int) -> str:
    """A field of so many bytes in lower-case hexadecimal."""
    value = fields.get(name)
    if isinstance(value, str) and re.fullmatch(rf"[0-9a-f]{{{2 * length}}}", value):
        return value
    raise ValueError(f"its seal's {name} is not {2 * length} hexadecimal digits")


def _hkdf(root: bytes, salt: bytes, label: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=label).derive(root)
