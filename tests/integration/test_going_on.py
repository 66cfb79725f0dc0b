"""A run that goes on: --resume, --restart, the same FILE again, all by the command line."""

import pytest

from tests.helpers.farm import Farm


def lines_run(farm: Farm) -> int:
    """How many tasks have run so far."""
    return len(farm.read("ran"))


def run(farm: Farm, *words: object) -> int:
    """Run a cluster to its end; its exit status."""
    return farm.start("cluster", *words).wait()


def test_a_file_that_was_read_to_its_end_is_resumed_again_and_again(farm):
    """There is nothing left of it, each time; what is appended to it runs once."""
    path = farm.write_lines(["echo >> ran"] * 3)
    assert 0 == run(farm, path)
    resumed = [run(farm, path, "--resume") for _ in range(2)]
    assert [0, 0] == resumed
    assert 3 == lines_run(farm)

    with path.open("a") as file:
        file.write("echo >> ran\n" * 2)

    assert [0, 0] == [run(farm, path, "--resume") for _ in range(2)]
    assert 5 == lines_run(farm)


def test_a_file_that_changed_where_it_was_read_is_not_resumed(farm):
    """In one line that says so, and nothing runs."""
    path = farm.write_lines(["echo >> ran"] * 3)
    assert 0 == run(farm, path)
    path.write_text("true\n" + path.read_text())

    process = farm.start("cluster", path, "--resume")

    assert 3 == process.wait()
    assert "the first 3 lines of" in process.err
    assert 3 == lines_run(farm)


def test_a_file_that_no_run_knows_is_not_resumed(farm):
    """There is nothing to go on with."""
    process = farm.start("cluster", farm.write_lines(["true"]), "--resume")

    assert 3 == process.wait()
    assert "no run of" in process.err


def test_restart_tries_what_failed_again(farm):
    """And prints again what fails again, behind what was printed before."""
    path = farm.write_lines(["echo >> ran", "echo >> ran; test -e there", "false"])
    assert 1 == run(farm, path, "-f", "failed")
    (farm.folder / "there").touch()

    assert 1 == run(farm, "--restart", "-f", "failed")

    assert 3 == lines_run(farm)
    failed = farm.read("failed")
    assert 3 == len(failed)
    assert 2 == failed.count("false")
    assert 1 == run(farm, "--restart")
    assert 3 == lines_run(farm)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--restart", "--no-db"], "--no-db"),
        (["--resume"], "--resume needs the FILE"),
        (["FILE", "--restart"], "cannot be used together"),
        (["FILE", "--restart", "--resume"], "cannot be used together"),
        (["FILE", "--database", "x.db", "--no-db"], "--no-db"),
    ],
)
def test_what_contradicts_itself_is_refused(farm, words, says):
    """With status 2, before anything starts."""
    process = farm.start("server", *words)

    assert 2 == process.wait()
    assert says in process.err
