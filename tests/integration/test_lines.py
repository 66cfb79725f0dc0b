"""Lines of every kind: each is run, or skipped, or refused, and captured as it stands."""

LONG = 1024 * 1024

PRINTING = [
    (b"", None),
    (b" \t ", None),
    (b"# echo a comment", None),
    (b"   # echo an indented comment", None),
    (b"echo 'a#b'", b"a#b\n"),
    (b"echo a#b # and a comment", b"a#b\n"),
    (b"echo $#", b"0\n"),
    (b"""echo "it's" 'so "quoted"'""", b"""it's so "quoted"\n"""),
    (b"printf 'b\\na\\n' | sort | head -n 1", b"a\n"),
    (b"echo one; echo two", b"one\ntwo\n"),
    (b"echo 'a\tb'", b"a\tb\n"),
    (b"\techo 'after a tab'", b"after a tab\n"),
    (b"echo 'a\rb'", b"a\rb\n"),
    (b"echo 'car\riage'", b"car\riage\n"),
    (b"echo '\xff\xfe\xe9'", b"\xff\xfe\xe9\n"),
    ("echo 'für dich ☃'".encode(), "für dich ☃\n".encode()),
    (b"echo 20240101 1e5 0x10 {} %s", b"20240101 1e5 0x10 {} %s\n"),
    (b"printf 'no newline'", b"no newline\n"),
    (b"cat", b""),
    (b"read line || echo nothing to read", b"nothing to read\n"),
    (b"X=1; echo $X", b"1\n"),
    (b"true && echo yes || echo no", b"yes\n"),
    (b"test 1 -eq 2 || ! false", b""),
    (b"echo tagged # HYPERSHELL: color:red size:3", b"tagged\n"),
    (b'echo "$TASK_ARGS" $TASK_ATTEMPT', b'echo "$TASK_ARGS" $TASK_ATTEMPT 1\n'),
    (b": " + b"x" * LONG + b"; echo ran", b"ran\n"),
    (b"echo '" + b"y" * LONG + b"'", b"y" * LONG + b"\n"),
    (b"cat; echo '" + b"z" * 200_000 + b"' | tail -c 3", b"zz\n"),
    (b"echo the last", b"the last\n"),
]

FAILING = [
    b"exit 3",
    b"  false  ",
    b"\tfalse\t",
    b"false \r #",
    b"false '\xff\xfe'",
    b"false 'a#b' # why",
    b"false # HYPERSHELL: color:red",
    b"-v",
    b"'unbalanced",
    b"no-such-command-anywhere",
    b"kill -9 $$",
    b"false '" + b"x" * LONG + b"'",
]


def test_each_line_is_run_as_it_stands(farm):
    """Comments, quotes, tabs, any bytes, any length; the last line needs no newline."""
    path = farm.folder / "lines"
    path.write_bytes(b"\n".join(line for line, _ in PRINTING))

    cluster = farm.run("cluster", path)

    # Lines that are too long for one answer to the client may start a little later than the next.
    expected = [out for _, out in PRINTING if out]
    missing = [out[:99] for out in expected if out not in cluster.out]
    assert ([], sum(map(len, expected))) == (missing, len(cluster.out))
    assert 0 == cluster.wait()
    skipped = sum(out is None for _, out in PRINTING)
    assert f"{len(PRINTING) - skipped} tasks: {len(PRINTING) - skipped} succeeded" in cluster.err


def test_failed_lines_of_any_kind_are_captured_byte_for_byte(farm):
    """What `-f` writes is what was read, each line once, in the form the reader takes back."""
    cluster = farm.start_cluster(FAILING, "-f", "failed", "-N", 2)

    code = cluster.wait()

    assert 1 == code
    captured = (farm.folder / "failed").read_bytes()
    assert sorted(FAILING) == sorted(captured.removesuffix(b"\n").split(b"\n"))


def test_a_nul_byte_is_an_error_that_names_its_line_and_spares_those_before_it(farm):
    """Exit 3; the lines before it have run, those after it have not."""
    lines = [b"echo 1 >> ran", b"echo 2 >> ran", b"echo \0 >> ran", b"echo 4 >> ran"]

    cluster = farm.start_cluster(lines)

    assert 3 == cluster.wait()
    assert ["1", "2"] == farm.read("ran")
    assert "line 3" in cluster.err
    assert "NUL" in cluster.err
    assert "hint: " in cluster.err


def test_tasks_find_their_variables_and_not_the_key(farm):
    """All that the manual names, and no key."""
    names = ["TASK_ID", "TASK_NUMBER", "TASK_ARGS", "TASK_ATTEMPT", "TASK_SLOT", "TASK_CLIENT_ID"]
    lines = ["true", 'env | grep -a "^TASK_\\|HYPERSHELL_AUTH"']

    cluster = farm.start_cluster(lines)

    assert 0 == cluster.wait()
    found = dict(line.split("=", 1) for line in cluster.out.decode().splitlines())
    assert {*names, "TASK_CLIENT_HOST"} == set(found)
    assert ["2", "2", lines[1], "1", "1"] == [found[name] for name in names[:5]]
