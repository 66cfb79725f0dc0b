"""From the command line of a verb to the one value that it runs by."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hypershell.access.keys import CLIENT, WORKER
from hypershell.app.planes import PlaneOptions
from hypershell.cli.options import parse
from hypershell.cli.verb_table import VERBS
from hypershell.cli.verbs.server import InfoOptions, StopOptions, WaitOptions
from hypershell.core import environment
from hypershell.core.errors import UsageError
from hypershell.core.query.selection import Selection
from hypershell.core.run_mode import RunMode
from hypershell.core.run_name import LAST_RUN
from hypershell.core.state import TaskState


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said by the environment."""
    for name in (environment.AUTH, environment.SERVER_DIR, environment.DATABASE):
        monkeypatch.delenv(name, raising=False)


def options(verb: str, *words: str) -> Any:
    """What a verb makes of the words after it."""
    module = import_module(VERBS[verb].module)
    parsed = parse(module.USAGE, verb, list(words), getattr(module, "WORDS", None))
    assert parsed is not None
    return module.options_from(parsed)


@pytest.mark.parametrize(
    ("words", "forgotten"),
    [((), True), (("-",), False), (("tasks.txt",), False), (("--restart",), False)],
)
@pytest.mark.parametrize("verb", ["server", "cluster"])
def test_only_who_names_no_input_may_have_forgotten_it(verb, words, forgotten):
    """At a terminal that is said; `-` says that the lines are typed there."""
    assert forgotten == options(verb, *words).inputs.is_stdin_by_default


@pytest.mark.parametrize(
    ("words", "mode", "path"),
    [
        (("server",), RunMode.FILE, "-"),
        (("server", "tasks.txt"), RunMode.FILE, "tasks.txt"),
        (("server", "start"), RunMode.FOREVER, None),
        (("server", "start", "tasks.txt"), RunMode.FILE, "tasks.txt"),
        (("server", "--forever"), RunMode.FOREVER, None),
        (("server", "--restart"), RunMode.RESTART, None),
        (("server", "start", "--restart"), RunMode.RESTART, None),
        (("server", "tasks.txt", "--resume"), RunMode.RESUME, "tasks.txt"),
        (("cluster",), RunMode.FILE, "-"),
        (("cluster", "--restart"), RunMode.RESTART, None),
        (("cluster", "tasks.txt", "--resume"), RunMode.RESUME, "tasks.txt"),
    ],
)
def test_a_command_line_says_which_tasks_a_run_takes_on(words, mode, path):
    """And whether it reads an input."""
    found = options(*words)

    assert (mode, path) == (found.database.mode, found.inputs.path)
    assert (mode is RunMode.FOREVER) == found.run.endless
    assert (mode is RunMode.RESUME) == found.run.resumes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--restart --resume", "--restart and --resume cannot be used together"),
        ("f --restart", "--restart and FILE cannot be used together"),
        ("--resume", "--resume needs the FILE"),
        ("- --resume", "--resume needs the FILE"),
        ("--no-db --restart", "--restart needs a task database"),
        ("--no-db --database x.db", "--database needs a task database"),
        ("f --no-db --resume", "--resume needs a task database"),
        ("f --forever", "--forever and FILE cannot be used together"),
        ("--forever --restart", "--forever and --restart cannot be used together"),
        ("f --print -f x", "--print and -f cannot be used together"),
        ("f --grace 20", "more than half of --lease 30"),
        ("f --auth=", "the value of --auth is empty"),
    ],
)
def test_options_of_a_server_that_contradict_each_other_are_refused(words, said):
    """Before anything is opened."""
    with pytest.raises(UsageError, match=said):
        options("server", *words.split())


def test_where_a_server_listens_is_one_value():
    """What was not given is left to an access file or a default."""
    given = options("server", "--host", "node1", "-H", "::", "-p", "0", "-k", "a-key").planes

    assert PlaneOptions("node1", "::", 0, None, "a-key") == given
    assert PlaneOptions() == options("server").planes


@pytest.mark.parametrize(
    "words",
    [("-p", "1111"), ("--worker-port", "5"), ("--client-port", "0"), ("-k", "x"), ("--host", "h")],
)
def test_what_an_access_file_decides_no_option_may_say(words):
    """Not even the same."""
    with pytest.raises(UsageError, match="--access-file cannot be used together"):
        options("server", "start", "--access-file", "full.json", *words)


def test_a_word_after_server_has_a_value_of_its_own():
    """Each with what it needs."""
    stop = options("server", "stop", "--drain", "--server-dir", "/farm")
    info = options("server", "info", "--json")
    wait = options("server", "wait")

    assert isinstance(stop, StopOptions)
    assert (True, "/farm") == (stop.drain, stop.location.server_dir)
    assert isinstance(info, InfoOptions)
    assert info.json
    assert isinstance(wait, WaitOptions)
    assert 60.0 == wait.seconds


def test_an_access_file_has_a_host_and_a_port_for_each_plane():
    """The host of a plane before that of both, and localhost if none is given."""
    words = ["f.json", "--worker-port", "1", "--client-port", "2"]
    made = options("server", "generate-access", *words, "--host", "h", "--client-host", "c")
    plain = options("server", "generate-access", *words, "--worker-file", "w.json")

    assert {WORKER: ("h", 1), CLIENT: ("c", 2)} == made.addresses
    assert {"localhost"} == {host for host, _ in plain.addresses.values()}
    assert {WORKER: Path("w.json")} == plain.parts


@pytest.mark.parametrize("ports", [[], ["-p", "1"], ["--client-port", "1"], ["-p", "0"]])
def test_an_access_file_needs_both_ports(ports):
    """A port that any may take cannot be written down."""
    with pytest.raises(UsageError):
        options("server", "generate-access", "f.json", *ports)


def test_a_cluster_gives_its_clients_what_they_need():
    """Slots, shell, output and how to log; they are quiet unless it is not."""
    words = ["-N", "3", "--clients", "2", "-o", "out", "--log-file", "log"]
    found = options("cluster", "f", *words)

    assert 2 == found.clients
    said = "--output out --log-file log --log-format human --quiet"
    assert ("--shell", "/bin/sh", "-N", "3") == found.client_arguments[:4]
    assert tuple(said.split()) == found.client_arguments[-7:]
    assert "--verbose" == options("cluster", "f", "-v").client_arguments[-1]
    assert options("cluster", "f", "-v").is_verbose


@pytest.mark.parametrize(
    ("words", "key", "server_dir", "access_file"),
    [
        ([], "of-the-environment", None, None),
        (["-k", "given"], "given", None, None),
        (["--server-dir", "/farm"], None, "/farm", None),
        (["--access-file", "a.json"], None, None, "a.json"),
    ],
)
def test_a_place_that_was_named_comes_before_a_key_of_the_environment(
    monkeypatch, words, key, server_dir, access_file
):
    """And a key that was given before that."""
    monkeypatch.setenv(environment.AUTH, "of-the-environment")

    found = options("client", *words).location

    assert (key, server_dir, access_file) == (found.key, found.server_dir, found.access_file)


@pytest.mark.parametrize("place", ["--server-dir", "--access-file"])
def test_a_key_and_a_place_exclude_each_other(place):
    """The place has its own key."""
    with pytest.raises(UsageError, match=f"-k and {place} cannot be used together"):
        options("client", "-k", "a-key", place, "x")


def test_a_client_does_what_its_options_say():
    """Host and port are of the server, the rest of the client."""
    found = options("client", "-H", "n1", "-p", "7", "-N", "4", "-T", "1.5", "-o", "out")

    assert ("n1", 7) == (found.location.host, found.location.port)
    assert (4, 1.5, "out") == (found.client.slots, found.client.idle_timeout, found.client.out_path)


def test_slots_are_said_once():
    """-N and -j are the same, and 0 is one for each core."""
    assert 3 == options("client", "-j", "3").client.slots
    assert 1 <= options("client", "-N", "0").client.slots
    with pytest.raises(UsageError, match="--num-threads 2 and --jobs 3 contradict"):
        options("client", "-N", "2", "-j", "3")


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
def test_what_changes_tasks_is_told_which(verb):
    """All of them is nothing that happens by leaving something out."""
    found = options(verb, "3-5", "--failed", "--json")

    assert Selection(ids=(3, 4, 5), states=(TaskState.FAILED,)) == found.selection
    assert found.json
    assert verb == found.source.verb
    with pytest.raises(UsageError, match="no tasks selected"):
        options(verb)


def test_waiting_for_all_tasks_is_said():
    """And stands alone."""
    assert Selection(run=LAST_RUN) == options("wait", "--all").selection
    assert 2.5 == options("wait", "7", "--timeout", "2.5").seconds
    with pytest.raises(UsageError, match="no tasks selected"):
        options("wait")
    with pytest.raises(UsageError, match="--all cannot be used with a selection"):
        options("wait", "7", "--all")


def test_fields_are_separated_by_commas_or_blanks():
    """And each is one that there is."""
    found = options("list", "id,line", "tag.site", "--limit", "3")

    assert (("id", "line", "tag.site"), 3) == (found.fields, found.limit)
    for name in ("colour", "tag", "tag.a b"):
        with pytest.raises(UsageError):
            options("list", name)


def test_one_task_is_shown():
    """`list` shows several."""
    assert 7 == options("info", "7").task_id
    with pytest.raises(UsageError, match="one task"):
        options("info", "7-9")


@pytest.mark.parametrize("verb", ["submit", "run"])
def test_a_command_becomes_a_line(verb):
    """One word is the line as it stands; several are quoted and joined."""
    found = [options(verb, "--", *words) for words in (["a | b"], ["echo", "a b"])]
    lines = [each.line if verb == "run" else each.submission.line for each in found]

    assert [b"a | b", b"echo 'a b'"] == lines
    for words in ([""], ["# nothing"], ["\n"]):
        with pytest.raises(UsageError):
            options(verb, "--", *words)


def test_a_command_of_several_lines_is_one_line():
    """A name may have a newline in it, and a task is a line."""
    found = options("run", "--", "test", "-e", "two\nlines")

    assert rb"""eval "$(printf ' test -e '\''two\nlines'\''')" """.strip() == found.line


def test_what_a_command_prints_is_kept_only_for_run():
    """`submit` does not wait for it."""
    assert options("run", "--", "true").submit_options.spec.capture
    assert not options("submit", "--", "true").submission.submit_options.spec.capture


def test_a_file_of_lines_is_submitted():
    """With the settings of all its tasks."""
    submission = options("submit", "-f", "more.txt", "--priority", "5").submission

    assert (("more.txt",), b"", 5) == (
        submission.input.files,
        submission.line,
        submission.submit_options.priority,
    )
