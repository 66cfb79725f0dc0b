"""Runs of an input that has grown since: only what is new in it is run."""

import pytest


def run(farm, path, *options: object):
    """A cluster, to its end."""
    cluster = farm.start_cluster(path, *options)
    cluster.wait()
    return cluster


def test_only_records_that_no_run_had_are_run(farm):
    """Whatever became of them; each of several that are alike once for each time."""
    path = farm.write_lines(["echo a; false", "echo b", "echo b"])
    first = run(farm, path)

    path.write_text("echo new\necho a; false\necho b\n# a comment\necho b\necho b\n")
    second = run(farm, path, "--update", "-v")
    third = run(farm, path, "--update")

    assert sorted("abb") == sorted(first.out.decode().split())
    assert ["b", "new"] == sorted(second.out.decode().split())
    assert "3 records passed over" in second.err
    assert b"" == third.out


def test_without_update_all_are_run_again(farm):
    """And `--repeat` says so."""
    path = farm.write_lines(["echo a"])

    outs = [run(farm, path, *options).out for options in ((), (), ("--repeat",))]

    assert [b"a\n"] * 3 == outs


def test_another_template_makes_other_records(farm):
    """Of the same file."""
    path = farm.write_lines(["x y", "z"])

    outs = [
        run(farm, path, "--template", template, "--update").out.split(b"\n")
        for template in ("echo {}", "echo {}", "echo -{}-")
    ]

    assert [{b"x y", b"z", b""}, {b""}, {b"-x y-", b"-z-", b""}] == [set(out) for out in outs]


def test_another_file_has_records_of_its_own(farm):
    """By its absolute path."""
    first, second = farm.write_lines(["echo a"]), farm.write_lines(["echo a"])
    run(farm, first)

    assert b"a\n" == run(farm, second, "--update").out


@pytest.mark.parametrize(
    "words",
    [
        ("--update", "--no-db"),
        ("--update", "--repeat"),
        ("--update", "--resume"),
        ("-", "--update"),
        ("--update", ":::", "1", "--template", "echo"),
    ],
)
def test_an_update_that_makes_no_sense_is_refused(farm, words):
    """In one line, with status 2."""
    path = [] if "-" in words or ":::" in words else [farm.write_lines(["true"])]

    asked = farm.run("cluster", *path, *words)

    assert 2 == asked.wait()
    assert "--update" in asked.err
