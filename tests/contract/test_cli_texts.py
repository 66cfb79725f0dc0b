"""One text per verb: what docopt parses, what help prints, and what pages are made from agree."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import docopt
import pytest

from hypershell.cli.arguments import FORMER_NAMES, UsageText, check, cut, first_operand
from hypershell.cli.completion.usage import (
    PROGRAM,
    Verbatim,
    commands,
    read_usage,
    usage_of,
    words_of,
)
from hypershell.cli.verb_table import VERBS
from hypershell.core.task_spec import SETTINGS
from tools import pages

ROOT = Path(__file__).parents[2]
CLI = ROOT / "hypershell" / "cli"

COMMANDS = commands()
"""Every verb and every command of two words."""

TEXTS = ["", *COMMANDS]
"""All usage texts, "" being the program's own."""

OPTION = re.compile(r"(?<![\w-])(?:--[a-z][a-z-]*[a-z]|-[A-Za-z](?![\w-]))")
CONTROL = {";", "&", "|", "&&", "||", "(", ")", "|&", ";;"}
HANDLED_BEFORE = {"--help", "--version", "--debug"}
"""Options that no verb has to look at."""

BEFORE_ITS_OPTION = {"--null"}
"""Options that `-0` stands for as soon as a verb has them."""


def declared(text: str) -> list[docopt.Option]:
    """The options that docopt sees in a text."""
    return docopt.parse_options(docopt.parse_docstring_sections(text).after_usage)


def spellings(text: str) -> set[str]:
    """Each short and long name that docopt sees."""
    return {name for o in declared(text) for name in (o.short, o.longer) if name}


def examples_of(text: str) -> list[str]:
    """The command lines of the examples, a line that ends in a backslash joined to the next."""
    blocks = [b for section in read_usage(text).sections for b in section.blocks]
    lines = "\n".join("\n".join(b.lines) for b in blocks if isinstance(b, Verbatim))
    joined = lines.replace("\\\n", " ").splitlines()
    return [line[2:] for line in joined if line.startswith("$ ")]


def commands_of(line: str) -> list[list[str]]:
    """The arguments of each call of this program in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    calls: list[list[str]] = [[]]
    for word in lexer:
        if word in CONTROL or word in ("<(", "<(", ">("):
            calls.append([])
        else:
            calls[-1].append(word)
    found = []
    for call in calls:
        while call and re.match(r"\w+=", call[0]):
            call.pop(0)
        if call and call[0] == PROGRAM:
            redirected = next((n for n, word in enumerate(call) if set(word) <= set("<>&")), None)
            found.append(call[1:redirected])
    return found


@pytest.mark.parametrize("verb", TEXTS)
def test_usage_occurs_once(verb):
    """docopt takes a second `usage:` for a second section."""
    assert 1 == usage_of(verb).lower().count("usage:")


@pytest.mark.parametrize("verb", TEXTS)
def test_every_option_line_is_an_option_and_nothing_else_is(verb):
    """docopt and the reader of the pages find the same options, with and without a value."""
    text = usage_of(verb)
    seen = {(frozenset(o.names), bool(o.metavar)) for o in read_usage(text).options}
    parsed = {
        (frozenset(filter(None, (o.short, o.longer))), bool(o.argcount)) for o in declared(text)
    }

    assert parsed == seen


@pytest.mark.parametrize("verb", TEXTS)
def test_an_option_is_declared_once(verb):
    """Two lines for one spelling would leave it to chance which of them counts."""
    names = [name for o in declared(usage_of(verb)) for name in (o.short, o.longer) if name]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("verb", TEXTS)
def test_every_option_in_the_prose_exists(verb):
    """What a text tells the reader to use is an option, of this verb or of another."""
    known = set().union(*(spellings(usage_of(other)) for other in TEXTS))
    mentioned = {
        name
        for section in read_usage(usage_of(verb)).sections
        for block in section.blocks
        if not isinstance(block, Verbatim)
        for name in OPTION.findall(getattr(block, "description", None) or str(block))
    }

    assert set() == mentioned - known


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_is_used_by_the_code(verb):
    """An option that is parsed and then forgotten would be a promise not kept."""
    names = {o.longer or o.short for o in declared(usage_of(verb))}
    settings = {setting.option for setting in SETTINGS}

    assert set() == names - HANDLED_BEFORE - strings_in_code() - settings


def test_every_option_that_the_code_asks_for_is_declared():
    """The code asks docopt for no option that no text declares, nor under a former name."""
    known = set().union(*(spellings(usage_of(verb)) for verb in TEXTS))
    asked = {text for text in strings_in_code() if re.fullmatch(r"--[a-z][a-z-]+[a-z]", text)}

    assert set() == asked - known - BEFORE_ITS_OPTION - set(FORMER_NAMES)


def strings_in_code() -> set[str]:
    """Every string constant of the command line's own modules."""
    return {
        node.value
        for path in CLI.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("verb", TEXTS)
def test_no_option_is_taken_for_a_longer_one(verb):
    """docopt would take a prefix for the option; of ours each has to be spelled out."""
    usage = UsageText(usage_of(verb))
    names = {name for name in usage.options if name.startswith("--")}
    prefixes = {name[:end] for name in names for end in range(3, len(name))} - names

    assert [] == [prefix for prefix in prefixes if cut(usage, [prefix]).options[0].option]
    assert names == {cut(usage, [name]).options[0].spelled for name in names}


@pytest.mark.parametrize("verb", TEXTS)
def test_no_wrapped_line_begins_with_a_dash(verb):
    """docopt takes such a line for an option; an option line stands two spaces from the margin."""
    lines = usage_of(verb).partition("\n\n")[2].splitlines()

    assert [] == [line for line in lines if re.match(r"(?! {2,6}-)\s*-\S", line)]


@pytest.mark.parametrize("verb", TEXTS)
def test_a_default_is_one_that_docopt_sees(verb):
    """With one space before its description an option loses its default without a word."""
    text = usage_of(verb)
    written = sorted(re.findall(r"\[default: ([^\]]*)\]", text))

    assert written == sorted(str(o.value) for o in declared(text) if o.argcount and o.value)


@pytest.mark.parametrize("verb", TEXTS)
def test_a_text_fits_the_terminal(verb):
    """No line of a help text is wider than 80 columns, none ends in a space."""
    lines = usage_of(verb).splitlines()

    assert [] == [line for line in lines if len(line) > 80 or line != line.rstrip()]


def test_what_only_the_overview_page_says_fits_too():
    """The man page hyper-shell(1) is read in the same terminal."""
    assert [] == [line for line in pages.REFERENCE.splitlines() if len(line) > 80]


@pytest.mark.parametrize("verb", TEXTS)
def test_every_example_parses(verb):
    """Each call of this program in an example is one that its verb accepts."""
    lines = examples_of(usage_of(verb))

    for line in lines:
        calls = commands_of(line)
        assert calls, f"no {PROGRAM} in: {line}"
        for name, *rest in calls:
            assert accepts(name, rest), line


def accepts(verb: str, arguments: list[str]) -> bool:
    """Whether a verb, or one of its commands of two words, takes these arguments."""
    texts = {"": usage_of(verb), **{word: usage_of(f"{verb} {word}") for word in words_of(verb)}}
    usages = {word: UsageText(text) for word, text in texts.items()}
    usage = usages.get(first_operand(usages.values(), arguments) or "", usages[""])
    found = cut(usage, arguments)
    check(found, usage, verb, {})
    words = [verb, *found.for_docopt(usage.optional_separators)]
    given = [each.option.name for each in found.options if each.option is not None]
    return bool(docopt.docopt(usage.for_docopt(given), words, default_help=False))


@pytest.mark.parametrize("verb", TEXTS)
def test_the_option_table_is_what_docopt_sees(verb):
    """The arguments are cut by the same options, values and defaults as docopt takes."""
    table = UsageText(usage_of(verb)).options

    for option in declared(usage_of(verb)):
        for name in filter(None, (option.short, option.longer)):
            assert (bool(option.argcount), option.value) == (
                table[name].takes_value,
                table[name].default,
            )


@pytest.mark.parametrize("verb", TEXTS)
def test_an_option_has_one_kind_in_all_commands_of_a_verb(verb):
    """The second word is found by the options of all its commands together."""
    kinds: dict[str, set[bool]] = {}
    for command in (
        verb,
        *(f"{verb} {word}" for word in (words_of(verb) if verb in VERBS else [])),
    ):
        for name, option in UsageText(usage_of(command)).options.items():
            kinds.setdefault(name, set()).add(option.takes_value)

    assert [] == [name for name, values in kinds.items() if len(values) > 1]


REPEATABLE = {"--tag", "--env", "--export", "--arg-file", "--resource", "--client-resource"}


@pytest.mark.parametrize("verb", TEXTS)
def test_every_option_that_may_be_repeated_says_so(verb):
    """The mark in the text is what makes it so: no description says it in other words."""
    described = [
        block for block in read_usage(usage_of(verb)).options if "repeat" in block.description
    ]

    assert all("May be repeated." in option.description for option in described)
    assert {option.names[-1] for option in described} <= REPEATABLE


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_examples(verb):
    """A reader looks at the examples first."""
    assert examples_of(usage_of(verb))


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_offers_its_help(verb):
    """`-h` and `--help` are options like all others."""
    assert {"-h", "--help"} <= spellings(usage_of(verb))


def test_the_pages_are_those_of_the_texts():
    """The committed man pages and the reference are what would be made now (`make docs`)."""
    assert [] == pages.out_of_date(ROOT)


def test_a_page_that_differs_is_noticed(tmp_path):
    """Every page is missing from an empty directory."""
    stale = {path.name for path in pages.out_of_date(tmp_path)}

    man = {"hyper-shell.1", *(f"hyper-shell-{verb}.1" for verb in VERBS)}
    assert man | {f"{name}.rst" for name in ("hyper-shell", *VERBS)} == stale


def test_groff_has_nothing_to_say_about_the_pages(need):
    """The man pages render without a warning."""
    groff = [need("groff"), "-man", "-Tutf8", "-ww"]

    for path in sorted((ROOT / "man").glob("*.1")):
        ended = subprocess.run([*groff, path], capture_output=True, text=True, check=True)
        assert (path.name, "") == (path.name, ended.stderr)
