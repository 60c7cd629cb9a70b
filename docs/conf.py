"""The documentation site: Sphinx reads the Markdown files where they lie, from the repository's root.

    make docs       # writes site/index.html

Nothing is fetched, neither while the site is built nor when it is read.
"""

import json
import re
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click
from typer.main import get_command

from itermask import __version__
from itermask.cli.main import app

project = "itermask"
author = "the itermask contributors"
project_copyright = "the itermask contributors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "src/itermask/methods/*/README.md",
    "src/itermask/demo_data/CREDITS.md",
    "src/itermask/prepare/atlas_data/CREDITS.md",
]
exclude_patterns = [".*", "benchmarks", "configs", "demo-output", "runs", "scripts", "site", "build", "tests"]
source_suffix = {".md": "markdown"}
smartquotes = False  # so that quotes in options and JSON can be copied
default_role = "code"  # a word between single backticks in a docstring
nitpicky = False

# Headings can be linked to as on a page of a code host. docs/results.md leaves out a level below its tables.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False

html_theme = "furo"
html_title = f"itermask {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["copy.js", "excerpts.js"]
html_extra_path = ["redirect"]
html_copy_source = False
html_show_search_summary = False  # a page opened as a file may not read its neighbours; see excerpts.js
html_theme_options = {"navigation_with_keys": True}
highlight_language = "none"
pygments_style = "tango"
pygments_dark_style = "monokai"

COMMANDS = "<!-- commands -->"


def commands() -> str:
    """Return every subcommand with its arguments and options, from the program itself."""
    program = get_command(app)
    context = typer.Context(program, info_name="itermask")
    parts = []
    for name, command in program.commands.items():  # type: ignore[attr-defined]
        text = get_docs_for_click(obj=command, ctx=context, indent=1, name=name, call_prefix="itermask")
        text = re.sub(r"(?m)^\* `--help`: .*\n?", "", text)
        text = text.replace("```console\n$ ", "```\n")
        parts.append(re.sub(r"(?m)^## `itermask (.*)`", r"## \1", text))
    return "\n".join(parts)


def with_commands(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Put the subcommands where a page asks for them."""
    if COMMANDS in source[0]:
        source[0] = source[0].replace(COMMANDS, commands())


def plain_docstring(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Escape a docstring, which is plain English: bars, stars and underscores in them mean themselves."""
    lines[:] = [re.sub(r"(?<!`)(\||\*\*|(?<=\w)_(?=[\s.,;:)]|$))(?!`)", r"\\\1", line) for line in lines]


def write_page_texts(app: Sphinx, error: Exception | None) -> None:
    """Write the text of every page to `page-texts.js`, from which the search page takes its excerpts."""
    if error is None:
        pages = {page: " ".join(app.env.get_doctree(page).astext().split()) for page in sorted(app.env.found_docs)}
        script = f"window.PAGE_TEXTS = {json.dumps(pages, ensure_ascii=False)};\n"
        (Path(app.outdir) / "_static" / "page-texts.js").write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the functions of this file; called by Sphinx."""
    app.connect("source-read", with_commands)
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("build-finished", write_page_texts)
    return {"parallel_read_safe": True}
