"""What a run reads, and the commands that a template makes of it."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

QUIET = ["-q", "--no-db"]

NAMES = [
    b"a b",
    b"it's",
    b'say "x"',
    b"$HOME",
    b"`id`",
    b"-n",
    b"a\\b",
    b"x;y&z",
    b"*",
    b"\xff\xfe",
]
"""Names of files that a shell would take for something else."""

ARGUMENTS = {
    "one list": ["::: a b"],
    "product": ["::: a b ::: 1 2"],
    "linked": ["::: a b :::+ 1 2 3"],
    "product of files": ["-a abc.txt :::: def.txt"],
    "linked files": ["-a abc.txt ::::+ def.txt"],
}

EXAMPLES = [
    # Of the manual of GNU parallel 20221122: replacement strings, input sources, columns.
    "echo ::: A B C",
    "echo {} ::: A B C",
    "echo {.} ::: dir/file.txt b.tar.gz plain",
    "echo {/} ::: dir/file.txt plain",
    "echo {//} ::: dir/file.txt plain",
    "echo {/.} ::: dir/file.txt b.tar.gz",
    "echo {#} ::: A B C",
    "echo Job {#} of {} ::: A B C",
    "echo {1} {2} ::: A B ::: C D",
    "echo {2} {1} ::: A B ::: C D",
    "echo {1.} {2/} ::: a.x ::: d/b.y",
    "echo {1} {2} ::: A B :::+ C D",
    "echo {1} {2} {3} ::: A B :::+ C D ::: X Y",
    "echo {} ::: 'a b' \"x'y\"",
    "echo counting {} ::: 1 2 3",
    "'echo {}; echo {} again' ::: A B",
    "echo {-1} {1} ::: A ::: B",
    "echo :::: abc.txt",
    "-a abc.txt echo",
    "echo {1} {2} :::: abc.txt def.txt",
    "-a abc.txt -a def.txt echo {1} {2}",
    "echo {1} {2} :::: abc.txt ::::+ def.txt",
    "echo {1} {2} :::: abc.txt ::: X Y",
    "--colsep : echo {1} - {2} :::: columns.txt",
    "--colsep ' *, *' echo {2} {1} :::: commas.txt",
    "--colsep '\\t' echo {1}={2} :::: tabs.tsv",
    "-0 echo {} :::: null.txt",
    "--header : echo {f1} {f2} ::: f1 A B ::: f2 C D",
    "--dry-run echo {} ::: 'a b' c",
    "--dry-run echo {1} {2} ::: A B ::: 'C D'",
    "echo {} {foo} ${HOME} ::: A",
    "wc -c ::: abc.txt def.txt",
]


@pytest.fixture
def inputs(farm):
    """The files of the examples."""
    files = {
        "abc.txt": "A\nB\nC\n",
        "def.txt": "D\nE\nF\n",
        "columns.txt": "a:1\nb:2\n",
        "commas.txt": "a , 1\nb,2\n",
        "tabs.tsv": "a\t1\nb\t2\n",
        "null.txt": "two words\0three short words\0",
    }
    for name, text in files.items():
        (farm.folder / name).write_text(text)
    return farm


def run(farm, *words: object, expect: int = 0, **popen: object) -> bytes:
    """What a cluster with these words prints."""
    process = farm.run("cluster", *QUIET, *words, **popen)
    assert expect == process.wait(), process.err
    return process.out


def in_our_words(example: str) -> list[str]:
    """An example of GNU parallel as it is given to a cluster: the command after `--`."""
    words = shlex.split(example)
    options = {"-a": 1, "--colsep": 1, "--header": 1, "-0": 0, "--dry-run": 0}
    ours, command = [], []
    while words and not words[0].startswith(":::"):
        word = words.pop(0)
        if word in options and (word != "-0" or not command):
            ours.append(word)
            for _ in range(options[word]):
                value = words.pop(0)
                ours += [] if word == "--header" else [value]
        else:
            command.append(word)
    return [*ours, "--", *command, *words]


@pytest.mark.skipif(not shutil.which("parallel"), reason="GNU parallel is not installed")
@pytest.mark.parametrize("example", EXAMPLES)
def test_it_prints_what_gnu_parallel_prints(inputs, example):
    """Of the same input and the same template, the same lines in any order."""
    environment = {**os.environ, "HOME": str(inputs.folder)}
    (inputs.folder / ".parallel").mkdir()
    (inputs.folder / ".parallel" / "will-cite").touch()
    theirs = subprocess.run(
        ["parallel", *shlex.split(example)],
        cwd=inputs.folder, env=environment, capture_output=True, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    ours = run(inputs, *in_our_words(example))

    assert sorted(theirs.stdout.splitlines()) == sorted(ours.splitlines())


@pytest.mark.parametrize("place", ["{}", '"{}"', "'{}'"])
@pytest.mark.parametrize("null", [True, False])
def test_any_name_of_a_file_arrives(farm, place, null):
    """By lines, or by NULs if it has newlines."""
    names = [*NAMES, b"two\nlines"] if null else NAMES
    separator = b"\0" if null else b"\n"
    (farm.folder / "names").write_bytes(b"".join(name + separator for name in names))

    shown = run(farm, "names", *(["-0"] if null else []), "--template", f"printf '<%s>\\n' {place}")

    assert sorted(names) == sorted(shown.removeprefix(b"<").removesuffix(b">\n").split(b">\n<"))


@pytest.mark.parametrize("words", ARGUMENTS.values(), ids=ARGUMENTS)
def test_failed_records_of_arguments_run_again_from_json(inputs, words):
    """All input arguments replaced by `--from-json PATH`: exactly these fail again."""
    given = words[0].split()
    template = ["--template", "echo {1}.{2}; test {1} = a && exit 0; exit 1"]
    run(inputs, *template, "-f", "failed.json", *given, expect=1)
    failed = inputs.read("failed.json")

    again = run(inputs, *template, "--from-json", "failed.json", "-f", "again.json", expect=1)

    assert sorted(failed) == sorted(inputs.read("again.json")) != []
    assert len(failed) == len(again.splitlines())
    assert all(json.loads(line) for line in failed)


FORMS = {
    "lines": (["--template", "echo {}; exit 1"], "a\nb c\n"),
    "null": (["-0", "--template", "echo {}; exit 1"], "a\0b\nc\0"),
    "commands": (["-0"], "exit 1\0false &&\n true\0"),
    "columns": (["--colsep", ":", "--template", "echo {2}; exit 1"], "a:1\nb:2\n"),
    "csv": (
        ["--csv", "--header", "--template", "echo {n}; exit 1"],
        'n,v\n1,"a ""b"""\n2,"x\ny"\n',
    ),
    "names": (["--colsep", " ", "--header", "--template", "echo {n}; exit 1"], "n v\n1 a\n2 b\n"),
    "json": (["--from-json", "{}", "--template", "echo {v}; exit 1"], '{"v":"a b"}\n{"v":7}\n'),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("database", [True, False], ids=["database", "memory"])
def test_failed_records_of_a_file_are_written_in_its_form(farm, form, database):
    """The file of failed records is the input, if all of them fail."""
    options, text = form
    (farm.folder / "input").write_text(text)
    words = [word.replace("{}", "input") if word == "{}" else word for word in options]
    named = [] if "--from-json" in options else ["input"]
    kept = [] if database else ["--no-db"]

    process = farm.run("cluster", "-q", *kept, *named, *words, "-f", "failed")

    assert 1 == process.wait(), process.err
    assert text == (farm.folder / "failed").read_text()


def test_a_restarted_run_writes_the_records_of_its_input(farm):
    """Also those whose run is over, and that another server finds in the database."""
    (farm.folder / "input").write_text("a\nb\n")
    template = ["--template", "test -e mended || exit 1; echo {} >> done"]
    assert 1 == farm.run("cluster", "-q", "input", *template, "-f", "failed").wait()

    again = farm.run("cluster", "-q", "--restart", "-f", "failed")

    assert 1 == again.wait()
    assert ["a", "b", "a", "b"] == farm.read("failed")
    (farm.folder / "mended").touch()
    assert 0 == farm.run("cluster", "-q", "--restart").wait()
    assert ["a", "b"] == sorted(farm.read("done"))


def test_a_run_of_a_template_is_resumed(farm):
    """With the records that were not read, or not run."""
    numbers = [str(number) for number in range(1, 41)]
    (farm.folder / "input").write_text("".join(f"{number}\n" for number in numbers))
    words = ["cluster", "-q", "input", "--template", "echo {} >> done; test -e go || sleep 60"]
    first = farm.start(*words)
    farm.wait_for_lines("done", 1)
    first.kill_tree()

    other = farm.run("cluster", "-q", "input", "--template", "echo other", "--resume")
    assert 3 == other.wait()
    assert "or the template have changed" in other.err
    assert 3 == farm.run("cluster", "-q", "input", "--resume").wait()
    (farm.folder / "go").touch()
    again = farm.run(*words, "--resume")

    assert 0 == again.wait(), again.err
    assert ["1", *numbers] == sorted(farm.read("done"), key=int)


def test_who_stops_a_run_of_a_template_is_told_how_it_goes_on(farm):
    """Not by a command that would take its records for commands."""
    (farm.folder / "input").write_text("1\n2\n")
    process = farm.start("cluster", "input", "--template", "echo {} >> done; sleep 60")
    farm.wait_for_lines("done", 1)

    process.signal(signal.SIGTERM)
    process.signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == process.wait()
    assert "the same command with --resume continues with them" in process.err


@pytest.mark.parametrize("source", [["--from-json", "input"], ["--array", "1-9"]], ids=str)
def test_what_cannot_be_read_again_goes_on_from_the_database(farm, source):
    """Without a word of --resume, which takes one FILE."""
    (farm.folder / "input").write_text('"1"\n"2"\n')
    process = farm.start("cluster", *source, "--template", "echo {} >> done; sleep 60")
    farm.wait_for_lines("done", 1)

    process.signal(signal.SIGTERM)
    process.signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == process.wait()
    assert "`hyper-shell cluster --restart` continues" in process.err
    assert 2 == farm.run("cluster", *source, "--template", "echo", "--resume").wait()


def test_a_run_is_not_resumed_with_other_columns(farm):
    """They would make other commands of its records."""
    (farm.folder / "input").write_text("a:b,c\n")
    words = ["cluster", "-q", "input", "--template", "echo {1}"]
    assert 0 == farm.run(*words, "-C", ":").wait()

    assert 0 == farm.run(*words, "-C", ":", "--resume").wait()
    assert 3 == farm.run(*words, "-C", ",", "--resume").wait()


def test_a_job_log_has_a_line_for_each_task(farm):
    """Also for a command of several lines."""
    (farm.folder / "input").write_bytes(b"true &&\n true\0false\0")

    process = farm.run("cluster", *QUIET, "-0", "input", "--joblog", "log")

    assert 1 == process.wait()
    assert 3 == len(farm.read("log"))


def test_an_array_is_numbers(farm):
    """Ranges with steps, and single ones."""
    assert b"1 1\n4 2\n7 3\n20 4\n" == run(farm, "--array", "1-9:3,20", "--", "echo {} {#}")


def test_json_may_be_an_array_or_lines(farm):
    """Of strings, numbers and objects; from standard input as well."""
    array = '["a b",\n 3, 1.50, true, {"x": "y", "n": null}]'
    (farm.folder / "array.json").write_text(array)

    shown = run(farm, "--from-json", "array.json", "--", "echo {}")

    assert b"a b\n3\n1.50\ntrue\ny \n" == shown
    assert b"7\n" == run(farm, "--from-json", "-", "--", "echo {x}", stdin=_stdin(farm, '{"x":7}'))


def test_files_are_read_one_after_the_other(inputs):
    """As commands, with comments left out, or by a template."""
    (inputs.folder / "one").write_text("# none\necho 1; exit 1\n\n")
    (inputs.folder / "two").write_text("echo 2\n")

    shown = run(inputs, "one", "two", "-f", "failed", expect=1)

    assert b"1\n2\n" == shown
    assert ['"echo 1; exit 1"'] == inputs.read("failed")
    assert b"A\nB\nC\nD\nE\nF\n" == run(inputs, "abc.txt", "def.txt", "--", "echo")


def test_carriage_returns_are_kept_on_demand(farm):
    """They are taken off and named otherwise."""
    (farm.folder / "input").write_bytes(b"a\r\n")

    assert b"a\n" == run(farm, "input", "--", "echo")
    assert b"a\r\n" == run(farm, "input", "--keep-cr", "--", "echo")


def test_a_dry_run_prints_commands_that_can_be_pasted(farm):
    """And runs none of them."""
    names = [b"a b", b"it's", b"two\nlines"]
    (farm.folder / "names").write_bytes(b"\0".join(names))

    shown = run(farm, "names", "-0", "--dry-run", "--", "touch")

    assert 3 == len(shown.splitlines())
    assert not (farm.folder / "a b").exists()
    subprocess.run(["/bin/sh", "-e"], input=shown, cwd=farm.folder, check=True)
    assert set(names) <= set(os.listdir(os.fsencode(farm.folder)))


def test_what_a_template_makes_is_submitted(farm):
    """Each command with the number of its record; one of several lines as one line."""
    server = farm.start("server", "--forever", "-p", 0)
    farm.port = server.port
    client = farm.start_client()
    submit = ["submit", "--template", "echo {#} {} {%} >> shown", ":::", "a b", "x\ny"]

    submitted = farm.run(*submit)

    assert 0 == submitted.wait(), submitted.err
    assert 2 == len(submitted.out.splitlines())
    assert ["1 a b 1", "2 x", "y 1"] == farm.wait_for_lines("shown", 3)
    assert 0 == farm.run("server", "stop").wait()
    assert [0, 0] == [server.wait(), client.wait()]


WRONG = [
    (["FILE", ":::", "a"], "FILE and ::: cannot be used together"),
    (["FILE", "--array", "1-3"], "FILE and --array cannot be used together"),
    (["--array", "1-3", ":::", "a", "--", "x"], "--array and ::: cannot be used together"),
    (["--array", "3-1"], "--array '3-1': 3-1 is not a range"),
    (["--array", "1-3:0"], "--array '1-3:0': 1-3:0 is not a range"),
    (["--array", "x"], "--array 'x': expected numbers"),
    (["--array", ""], "the value of --array is empty"),
    (["FILE", "--csv"], "need a --template"),
    (["FILE", "--colsep", ","], "need a --template"),
    (["FILE", "--header"], "need a --template"),
    (["FILE", "--csv", "-0", "--template", "x"], "--csv and --null cannot be used together"),
    (["FILE", "--csv", "-C", ",", "--template", "x"], "--csv and --colsep cannot be used together"),
    (["FILE", "-C", "(", "--template", "x"], "--colsep '(' is not a regular expression"),
    (["FILE", "-C", ",*", "--template", "x"], "--colsep ',*' matches nothing"),
    (["--from-json", "FILE", "-0", "--template", "x"], "--from-json has a form of its own"),
    (["--array", "1", "--csv", "--template", "x"], "--array has a form of its own"),
    (["FILE", "--template", "x", "--", "y"], "--template and words after `--` cannot be used"),
    (["FILE", "--template", " "], "the template is empty"),
    (["FILE", "--"], "there is no command after --"),
    (["FILE", "--quote"], "--quote is for the words after `--`"),
    (["--", "FILE"], "is a file, and no command"),
    (["--template", "echo `x {}`", ":::", "a"], "is inside of `...`"),
    (["--template", "cat <<E\nx\nE\necho {}", ":::", "a"], "comes after a here-document"),
    (["--template", "echo ${x-{}}", ":::", "a"], "is inside of ${...}"),
    ([":::", "a", ":::", "b"], "several lists of values need a --template"),
    (["--template", "x", ":::+", "a"], "a linked list needs one before it"),
    (["--template", "x", "::::"], "`::::` needs the name of a file"),
    (["--template", "x", "-a", "-", "::::", "-"], "standard input can be read only once"),
    (["FILE", "--restart"], "--restart and FILE cannot be used together"),
    (["--restart", ":::", "a"], "--restart and ::: cannot be used together"),
    (["--resume", ":::", "a"], "--resume needs the FILE"),
    (["--resume", "FILE", "FILE"], "--resume needs the FILE"),
    (["--env", "X"], "--env must be NAME=VALUE"),
    (["--export", "NOT_SET"], "the variable 'NOT_SET' is not set"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_uses_are_named(farm, words, said):
    """In one line, with 2, before anything is run."""
    path = farm.write_lines(["true"])

    process = farm.run("cluster", *(str(path) if word == "FILE" else word for word in words))

    assert 2 == process.wait(), process.out
    assert said in process.err
    assert 2 >= len(process.err.splitlines())


DAMAGED = {
    "columns": (["--csv", "--header", "--template", "x"], "a,b\n1,2\n3\n", "it has 1 values"),
    "quotes": (["--csv", "--template", "true"], 'a\n"b\n', "its double quotes are not closed"),
    "names": (["--csv", "--header", "--template", "x"], "a,a\n", "the header has a name twice"),
    "json": (["--template", "true", "--from-json"], '"a"\n{"b"\n', "it is not a record of JSON"),
    "array": (["--template", "true", "--from-json"], '["a", ["b", [1]]]', "is itself an array"),
    "object": (["--from-json"], '{"a":"b","c":"d"}\n', "there is no template for them"),
    "nul": (["--template", "true", "--from-json"], '"a\\u0000b"\n', "a NUL character"),
}


@pytest.mark.parametrize("case", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_ends_the_input(farm, case):
    """It is named, and what came before it runs."""
    options, text, said = case
    (farm.folder / "input").write_text(text)

    process = farm.run("cluster", *QUIET, *options, "input")

    assert process.wait() not in (0, 2, 70)
    assert said in process.err


def test_many_numbers_need_no_memory(farm):
    """They are made as they are run."""
    process = farm.start("cluster", *QUIET, "--array", "1-10000000", "--", "echo {} >> shown")
    farm.wait_for_lines("shown", 200)

    status = Path(f"/proc/{process.pid}/status").read_text()

    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 80_000
    process.signal(signal.SIGTERM)
    process.signal(signal.SIGTERM)
    assert 128 + signal.SIGTERM == process.wait()


def _stdin(farm, text: str):
    (farm.folder / "stdin").write_text(text)
    return open(farm.folder / "stdin")
