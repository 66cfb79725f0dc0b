"""Wrong uses of the options by which tasks say what they need, and how they are held and tried."""

import pytest

from hypershell.cli.main import main

CLUSTER = [
    (["-c", "0"], "--cores must be a whole number from 1"),
    (["-c", "x"], "--cores must be a whole number"),
    (["-c", "1.5"], "--cores must be a whole number"),
    (["-m", "0"], "--memory must be a size"),
    (["-m", "8 bananas"], "--memory must be a size"),
    (["--gpus", "-1"], "--gpus must be a whole number"),
    (["--resource", "lic"], "--resource must be NAME=NUMBER"),
    (["--resource", "lic=0"], "--resource must be NAME=NUMBER"),
    (["--resource", "cores=2"], "--resource must be NAME=NUMBER"),
    (["--resource", "a b=2"], "--resource must be NAME=NUMBER"),
    (["--expect", "0"], "--expect must be a duration"),
    (["--expect", "soon"], "--expect must be a duration"),
    (["-W", "0%"], "--task-timeout must be a duration"),
    (["-W", "1.5%"], "--task-timeout must be a duration"),
    (["-W", "-3"], "--task-timeout must be a duration"),
    (["--retry-memory", "1x"], "--retry-memory must be a factor above 1"),
    (["--retry-memory", "2xx"], "--retry-memory must be a factor above 1"),
    (["--retry-delay", "x"], "--retry-delay must be a duration"),
    (["--retry-delay", "10:5"], "--retry-delay must be a duration"),
    (["--retry-delay", "1:2:3"], "--retry-delay must be a duration"),
    (["--retry-if", ""], "the value of --retry-if is empty"),
    (["--retry-if", "exit_status"], "--retry-if 'exit_status': at the end: expected an operator"),
    (["--retry-if", "host = a"], "host is not a field of an attempt"),
    (["--retry-if", "ending = boring"], "expected an ending: exited, signaled"),
    (["--halt", "now"], "--halt 'now' must be now or soon"),
    (["--halt", "now,fail=0"], "--halt 'now,fail=0' needs a number from 1"),
    (["--halt", "soon,fail=120%"], "needs a number from 1 to 100"),
    (["--halt", "later,fail=1"], "must be now or soon"),
    (["--unfit", "drop"], "--unfit must be one of wait, fail"),
    (["-R", "0"], "--ratelimit must be a rate above 0"),
    (["-R", "5/d"], "--ratelimit must be a rate above 0"),
    (["--client-cores", "0"], "--client-cores must be a whole number"),
    (["--client-memory", "much"], "--client-memory 'much': expected a size"),
    (["--client-gpus", "x"], "--client-gpus must be a whole number"),
    (["--client-resource", "a"], "--client-resource must be NAME=NUMBER"),
    (["--nice", "20"], "--nice must be a whole number from -20 to 19"),
    (["--nice", "x"], "--nice must be a whole number"),
    (["--update", "--no-db"], "--update and --no-db cannot be used together"),
    (["--update", "--repeat"], "--update and --repeat cannot be used together"),
]

CLIENT = [
    (["--walltime", "0"], "--walltime must be above 0"),
    (["--walltime", "soon"], "--walltime 'soon': expected a duration"),
    (["--leave-before", "-1"], "--leave-before must be at least 0"),
    (["--max-tasks", "0"], "--max-tasks must be a whole number of at least 1"),
    (["--gpus", "1", "--client-gpus", "2"], "contradict each other"),
    (["--resource", "x"], "--resource must be NAME=NUMBER"),
    (["--cores", "2"], "--cores"),
]

OTHERS = [
    (["set-slots", "0123abcd", "0"], "NUM must be a whole number from 1"),
    (["set-slots", "0123abcd"], "set-slots"),
    (["pause", "0123abcd"], 'unexpected argument "0123abcd"'),
    (["resume", "--client", ""], "the value of --client is empty"),
    (["list", "--explain", "--run", "all"], "--explain is for the tasks of one run"),
    (["failures", "--sort", "host"], "unknown field host"),
    (["server", "info", "--sort", "id:up"], "--sort takes FIELD"),
]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        *((["cluster", "FILE", *words], said) for words, said in CLUSTER),
        *((["client", *words], said) for words, said in CLIENT),
        *OTHERS,
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_a_wrong_setting_is_named(tmp_path, monkeypatch, capsys, words, said):
    """In one line and a hint, with 2, before anything is run."""
    monkeypatch.setenv("HYPERSHELL_SERVER_DIR", str(tmp_path / "directory"))
    path = tmp_path / "tasks"
    path.write_text("touch ran\n")

    status = main([str(path) if word == "FILE" else word for word in words])
    shown = capsys.readouterr()

    assert (2, "") == (status, shown.out)
    assert said in shown.err
    assert 2 >= len(shown.err.splitlines())
    assert not (tmp_path / "directory").exists()
