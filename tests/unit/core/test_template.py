"""Replacement strings, and where a value cannot be quoted."""

import pytest

from hypershell.core.record import Record, json_of, read_json, record_of
from hypershell.core.template import Template

PATHS = {
    b"dir/file.txt": [b"dir/file", b"file.txt", b"dir", b"file"],
    b"b.tar.gz": [b"b.tar", b"b.tar.gz", b".", b"b.tar"],
    b"plain": [b"plain", b"plain", b".", b"plain"],
    b"/etc": [b"/etc", b"etc", b"/", b"etc"],
    b"a.b/c": [b"a.b/c", b"c", b"a.b", b"c"],
    b".profile": [b".profile", b".profile", b".", b".profile"],
    b"..x": [b"..x", b"..x", b".", b"..x"],
    b"": [b"''", b"''", b".", b"''"],
}


def made(text: str, *values: bytes, names: tuple[str, ...] = (), number: int = 1) -> bytes:
    """The command of a record with these values."""
    return Template(text, names).expand(Record(values, names), number)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_taken_apart(path):
    """Extension, base name, directory."""
    assert PATHS[path] == [made(place, path) for place in ("{.}", "{/}", "{//}", "{/.}")]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("echo", b"echo 'a b' c.d"),
        ("echo {}", b"echo 'a b' c.d"),
        ("echo {2} {1}", b"echo c.d 'a b'"),
        ("echo {-1} {-2} {-3}", b"echo c.d 'a b' ''"),
        ("echo {2.}", b"echo c"),
        ("echo {3}", b"echo ''"),
        ("echo {#}", b"echo 7"),
        ("echo {%}", b"echo $TASK_SLOT"),
        ("echo {%}0 '{%}'", b"echo ${TASK_SLOT}0 ''\"$TASK_SLOT\"''"),
        ("echo {=}", b"echo a b c.d"),
        ("echo `{=1}`", b"echo `a b`"),
        ("awk '{print $1}'", b"awk '{print $1}' 'a b' c.d"),
        ("echo ${HOME} {foo} {1", b"echo ${HOME} {foo} {1 'a b' c.d"),
        ("echo \\{} {1}", b"echo \\{} 'a b'"),
        ("echo {0} {1.5} {1}", b"echo {0} {1.5} 'a b'"),
    ],
)
def test_replacement_strings_are_replaced_and_nothing_else(text, command):
    """A template without any has the record at its end."""
    assert command == made(text, b"a b", b"c.d", number=7)


def test_a_value_is_found_by_its_name():
    """Whatever characters it has."""
    names = ("file", "the size", "file-2")

    assert b"x 1 y x" == made("{file/} {the size} {file-2} {file.}", b"x", b"1", b"y", names=names)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo `cat {}`", "inside of `...`"),
        ('echo "${x:-{}}"', "inside of ${...}"),
        ("cat <<E\nx\nE\necho {}", "comes after a here-document"),
        ("echo $'a' {}", "comes after $'...'"),
        ('echo "$(case x in x) echo {};; esac)"', "with `case`"),
    ],
)
def test_a_place_in_which_nobody_can_tell_how_to_quote_is_refused(text, reason):
    """What the shell made of a value there could be a command."""
    with pytest.raises(ValueError, match=r"^\{\} ") as refused:
        Template(text)

    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('"a"', (b"a",)),
        ("3", (b"3",)),
        ("1.50", (b"1.50",)),
        ("1e400", (b"1e400",)),
        ("true", (b"true",)),
        ("null", (b"",)),
        ('["a", 2]', (b"a", b"2")),
        ('{"x": "a", "y": 2}', (b"a", b"2")),
        ('{"1": "a", "2": "b"}', (b"a", b"b")),
        ('"\\udcff"', (b"\xff",)),
    ],
)
def test_json_gives_values_as_they_are_written(text, values):
    """Numbers with all of their digits."""
    assert values == record_of(read_json(text)).values


@pytest.mark.parametrize("text", ["[[1]]", '{"a": {}}', '"\\ud800"', '"a\\u0000"', "[" * 100_000])
def test_json_that_is_no_record_is_refused(text):
    """With a reason."""
    with pytest.raises(ValueError, match=r"\w"):
        record_of(read_json(text))


def test_a_record_is_json_by_name_or_by_position():
    """One value without a name is a string."""
    assert b'"a"' == json_of(Record((b"a",)))
    assert b'{"1":"a","2":"b"}' == json_of(Record((b"a", b"b")))
    assert b'{"x":"a"}' == json_of(Record((b"a",), ("x",)))
