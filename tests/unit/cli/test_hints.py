"""Commands in messages, as they work for the user who reads them."""

from collections.abc import Iterator

import pytest

from hypershell.cli.hints import Situation, fitted


@pytest.fixture(autouse=True)
def situation() -> Iterator[None]:
    """No command line, before and after."""
    Situation.note("", {})
    yield
    Situation.note("", {})


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("`hyper-shell server --restart` runs them", "`hyper-shell cluster --restart` runs them"),
        ("`hyper-shell server a --resume`", "`hyper-shell cluster a --resume`"),
        ("`hyper-shell server info` shows it", "`hyper-shell server info` shows it"),
        ("`hyper-shell server stop`", "`hyper-shell server stop`"),
        ("see `hyper-shell cluster --help`", "see `hyper-shell cluster --help`"),
        ("no command", "no command"),
    ],
)
def test_who_uses_cluster_is_told_of_cluster(said, fits):
    """But not of what only `server` does."""
    Situation.note("cluster", {})

    assert fits == fitted(said)


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("`hyper-shell server --restart`", "`hyper-shell server --restart --server-dir 'd d'`"),
        ("`hyper-shell server info`", "`hyper-shell server info --server-dir 'd d'`"),
        ("`hyper-shell failures`", "`hyper-shell failures --server-dir 'd d'`"),
        ("`hyper-shell run -- ls -l`", "`hyper-shell run --server-dir 'd d' -- ls -l`"),
        ("`hyper-shell list --help`", "`hyper-shell list --help`"),
        ("`hyper-shell server stop --server-dir e`", "`hyper-shell server stop --server-dir e`"),
        ("`hyper-shell completion bash`", "`hyper-shell completion bash`"),
        ("`hyper-shell frobnicate`", "`hyper-shell frobnicate`"),
        ("`hyper-shell --version`", "`hyper-shell --version`"),
    ],
)
def test_a_command_has_the_directory_that_was_given(said, fits):
    """Where it takes one, and has none."""
    Situation.note("server", {"--server-dir": "d d", "--database": None})

    assert fits == fitted(said)


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("sqlite:///a.db", "`hyper-shell server --restart --database sqlite:///a.db`"),
        ("postgresql://me:secret@db/x", "`hyper-shell server --restart`"),
    ],
)
def test_a_command_has_the_database_that_was_given_if_that_is_no_secret(url, fits):
    """A password does not go into a log."""
    Situation.note("server", {"--server-dir": None, "--database": url})

    assert fits == fitted("`hyper-shell server --restart`")
