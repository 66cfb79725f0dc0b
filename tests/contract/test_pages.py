"""What a usage text says is what the reader of a man page, or of the reference in the manual, sees,
whatever characters it has.
"""

import subprocess
import sys

import pytest

from hypershell.cli.completion.usage import Entry, Option, Verbatim, read_usage
from tools import roff, rst

TEXT = """\
Usage:
  hyper-shell server (stop | FILE) [options]
                     [--more]

A `back\\slash`, a ~tilde, a ^hat, "quotes" and 'quotes', an arrow \u2192.

.TH is no request here, nor is
'this.

  verbatim   .as it stands
  'here

Options:
  -p NUM, --port NUM     Where; see -f,
                         and --more [default: 7].
  -f, --failures=PATH    Lines. Of files.
  --more
                         On a line of its own.

Form options:
  --form FORM            human or json [default: human].
  --shape round|square   Its shape.

Exit status:
  0    all is well
  130  a signal
       came

Examples:
  $ hyper-shell server - | cat
"""


def shown(text: str, groff: str) -> str:
    """The man page made from a text, as a terminal shows it without its fonts, on one line."""
    page = roff.page("hyper-shell-server", "try", read_usage(text), ["hyper-shell"])
    command = [groff, "-man", "-Tutf8", "-ww", "-P-cbou"]
    ended = subprocess.run(
        [*command, "-Kutf8"], input=page, capture_output=True, text=True, check=True
    )
    assert "" == ended.stderr
    return " ".join(ended.stdout.split())


def test_a_usage_text_is_read_into_its_parts():
    """Forms, paragraphs, lines that stand, options, tables: each is told from the others."""
    usage = read_usage(TEXT)

    assert ("hyper-shell server (stop | FILE) [options] [--more]",) == usage.synopsis
    assert ["stop"] == usage.words
    assert ["FILE"] == usage.operands
    assert ["", "Options", "Form options", "Exit status", "Examples"] == [
        section.title for section in usage.sections
    ]
    assert Verbatim(("$ hyper-shell server - | cat",)) == usage.sections[-1].blocks[0]
    assert (Entry("0", "all is well"), Entry("130", "a signal came")) == usage.sections[-2].blocks


def test_an_option_is_read_with_its_value_and_its_words():
    """Spellings, the name of the value, a description over several lines, and what it takes."""
    port, failures, more, form, shape = read_usage(TEXT).options

    assert port == Option(("-p", "--port"), "NUM", "Where; see -f, and --more [default: 7].")
    assert failures == Option(("-f", "--failures"), "PATH", "Lines. Of files.")
    assert more == Option(("--more",), "", "On a line of its own.")
    assert ("human", "json") == form.choices
    assert ("round", "square") == shape.choices


@pytest.mark.parametrize(
    "words",
    [
        "hyper-shell server (stop | FILE) [options] [--more]",
        "A back\\slash, a ~tilde, a ^hat, \"quotes\" and 'quotes', an arrow →.",
        ".TH is no request here, nor is 'this.",
        "verbatim .as it stands 'here",
        "-p, --port NUM Where; see -f, and --more [default: 7].",
        "-f, --failures PATH Lines. Of files.",
        "Form options --form FORM human or json",
        "EXIT STATUS 0 all is well 130 a signal came",
        "$ hyper-shell server - | cat",
        "SEE ALSO hyper-shell(1)",
    ],
)
def test_a_page_shows_what_the_text_says(words, need):
    """No character of a text is lost to roff, or taken for a request."""
    assert words in shown(TEXT, need("groff"))


@pytest.fixture(scope="module")
def in_the_manual(tmp_path_factory):
    """The page of the reference made from the text, as Sphinx shows it, on one line."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("manual")
    page = rst.page("hyper-shell server", "A summary.", read_usage(TEXT))
    (folder / "index.rst").write_text(page, "utf-8")
    (folder / "conf.py").write_text("smartquotes = False\nnitpicky = True\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "text", str(folder), "out"]
    subprocess.run(command, cwd=folder, check=True)
    return " ".join((folder / "out" / "index.txt").read_text("utf-8").split())


@pytest.mark.parametrize(
    "words",
    [
        "A summary. hyper-shell server (stop | FILE) [options]",
        "hyper-shell server (stop | FILE) [options] [--more]",
        "a ~tilde, a ^hat, \"quotes\" and 'quotes', an arrow →.",
        ".TH is no request here, nor is 'this.",
        "verbatim .as it stands 'here",
        '-p NUM, --port NUM Where; see "-f", and "--more" [default: 7].',
        "-f PATH, --failures PATH Lines. Of files.",
        "--form FORM human or json [default: human].",
        '"130" a signal came',
        "$ hyper-shell server - | cat",
    ],
)
def test_a_page_of_the_reference_shows_what_the_text_says(words, in_the_manual):
    """No character of a text is lost to reStructuredText, or taken for markup."""
    assert words in in_the_manual


@pytest.mark.parametrize("text", ["*all*", "a|b|c", "name_", "a\\b", "``x``", "tasks_waiting"])
def test_markup_in_a_text_is_no_markup_on_the_page(text):
    """What reStructuredText would take for its own is escaped, and nothing else is."""
    docutils = pytest.importorskip("docutils.core")

    tree = docutils.publish_doctree(rst.escape(text), settings_overrides={"report_level": 5})

    assert text == tree.astext()


def test_a_command_of_two_words_has_a_section_of_its_own(need):
    """With its own synopsis and options, after those of the verb."""
    usage = read_usage(TEXT)
    page = roff.page("hyper-shell-x", "try", usage, ["hyper-shell"], {"server stop": usage})
    command = [need("groff"), "-man", "-Tutf8", "-ww", "-P-cbou"]

    ended = subprocess.run([*command, "-Kutf8"], input=page, capture_output=True, text=True)

    assert "" == ended.stderr
    assert 2 == ended.stdout.count("On a line of its own.")
    assert "\nSERVER STOP\n" in ended.stdout
