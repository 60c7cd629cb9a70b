"""The documentation site builds without a warning, loads nothing from elsewhere, and every page can be found."""

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']((?:https?:)?//[^\"']+)")

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("sphinx", "furo", "myst_parser")),
    reason="the extra docs is not installed",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, as `make docs` builds it; fails on any warning."""
    out = tmp_path_factory.mktemp("site")
    options = ["-b", "html", "--fail-on-warning", "--quiet", "-c", "docs", "-d", out / "doctrees"]
    unreachable = "http://127.0.0.1:9"  # whoever asks the network gets nothing
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", out / "html"],
        cwd=ROOT,
        env=os.environ | {"http_proxy": unreachable, "https_proxy": unreachable},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return out / "html"


def test_nothing_is_loaded_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert LOADED.findall(page.read_text()) == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_every_local_file_of_a_page_is_there(site):
    for page in site.rglob("*.html"):
        for link in re.findall(r"(?:src|href)=\"([^\"#?]+)[^\"]*\"", page.read_text()):
            if not re.match(r"[a-z]+:|//", link):
                assert (page.parent / link).exists(), f"{page}: {link}"


def test_the_first_page_leads_on_and_commands_come_from_the_program(site):
    assert "docs/index.html" in (site / "index.html").read_text()
    commands = (site / "docs" / "reference" / "commands.html").read_text()
    for name in ("run", "bids", "cohort", "listen", "train", "calibrate", "corrupt"):
        assert f'id="{name}"' in commands
    assert "--sensitivity" in commands


def test_the_search_knows_pages_and_functions(site):
    index = (site / "searchindex.js").read_text()
    for word in ("docs/start", "docs/concepts/itermask3d", "threshold_curve", "guidanc"):
        assert word in index


def test_the_search_has_an_excerpt_of_every_page(site):
    script = (site / "_static" / "page-texts.js").read_text()
    texts = json.loads(script.removeprefix("window.PAGE_TEXTS = ").rstrip(";\n"))
    assert {"docs/start", "docs/concepts/scores", "README"} <= texts.keys()
    assert "verdict" in texts["docs/concepts/scores"]
    assert "excerpts.js" in (site / "search.html").read_text()


def test_json_on_the_page_of_commands_can_be_copied(site):
    commands = html.unescape((site / "docs" / "reference" / "commands.html").read_text())
    assert '{"t1w": {"acquisition": "mprage"}}' in re.sub(r"<[^>]+>", "", commands)
