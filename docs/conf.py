"""How Sphinx builds the manual: `make docs`, and `make check` with warnings as errors."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hypershell import __version__  # noqa: E402

project = "hyper-shell"
author = "the hyper-shell developers"
version = release = __version__
language = "en"

extensions: list[str] = []
exclude_patterns: list[str] = []
nitpicky = True
smartquotes = False
highlight_language = "none"

html_theme = "furo"
html_title = f"hyper-shell {release}"
html_show_copyright = False
html_copy_source = False
