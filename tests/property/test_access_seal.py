"""Seals and access files, for any key and any host: what goes in comes out, and nothing else."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.access.access_file import write
from hypershell.access.endpoints import Access, Endpoint
from hypershell.access.format import NewerFormat, SealedEndpoint, parse, render
from hypershell.access.keyring import Keyring
from hypershell.access.keys import PLANES
from hypershell.access.seal import key_seal, recipe_from
from hypershell.core.errors import Refused
from tests.helpers.access import read

KEYS = st.binary(min_size=32, max_size=32)
WORDS = st.binary(max_size=300).map(lambda word: word.decode("utf-8", "surrogateescape"))
HOSTS = st.from_regex(r"[A-Za-z0-9._:%-]{1,255}", fullmatch=True)
DOORS = st.builds(Endpoint, HOSTS, st.integers(1, 65535), WORDS)
UIDS = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
ACCESS = st.builds(Access, UIDS, client=DOORS, worker=DOORS)
PARTS = st.one_of(ACCESS, st.builds(Access.only, ACCESS, st.sampled_from(PLANES)))


@given(KEYS, WORDS)
def test_a_seal_opens_what_it_closed(key, word):
    """Also after its recipe went through a file."""
    seal = key_seal(key)

    again = type(seal)(recipe_from(seal.recipe.to_fields()), key)

    assert word == again.open(seal.close(word))
    assert again == seal


@given(KEYS, KEYS, WORDS)
def test_no_other_seal_opens_or_signs(key, other, word):
    """Another key, and the same key with another salt."""
    seal = key_seal(key)
    token = seal.close(word)

    for stranger in (key_seal(other), key_seal(key)):
        with pytest.raises(ValueError, match="sealed with another key"):
            stranger.open(token)
        assert not stranger.vouches_for(b"text", seal.sign(b"text"))


@given(PARTS)
@settings(max_examples=30)
def test_what_was_written_is_read(access):
    """Any part, any key, any host."""
    with tempfile.TemporaryDirectory() as folder:
        ring = Keyring(Path(folder, "seal.key"))
        path = Path(folder, "access.json")

        write(path, access, ring.new_seal())

        assert access == read(path, ring)


@given(KEYS, st.data())
@settings(max_examples=200)
def test_no_other_text_is_taken_for_a_signed_one(key, data):
    """Bytes replaced, removed or put in anywhere: malformed, or not what the seal signed."""
    seal = key_seal(key)
    endpoints = {plane: SealedEndpoint("node1", 1234, seal.close("word")) for plane in PLANES}
    text = render("1.0.0", "k3x9ab", endpoints, seal)
    assert parse(text).is_signed_by(seal)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    other = text[:start] + data.draw(st.binary(max_size=5)) + text[end:]
    if other == text:
        return

    try:
        layout = parse(other)
    except (ValueError, NewerFormat):
        return
    assert not layout.is_signed_by(seal)


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_any_bytes_at_all_are_refused_in_words(text):
    """Never another exception."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "access.json")
        path.touch(0o600)
        path.write_bytes(text)

        with pytest.raises(Refused):
            read(path, Keyring(Path(folder, "seal.key")))
