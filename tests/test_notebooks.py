"""The notebooks of the documents: each is made from today's page, and what makes them puts outputs where they belong.

The pages run with the bundled models, since they speak of these; `-m "not notebooks"` leaves that out.
"""

import json

import pytest

from notebooks import FOLDER, as_outputs, execute, make, page_with, parts, sources, stale  # isort: skip

PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")
PAGE = "# A title\n\n```python\nvalue = 2\nprint(value)\nvalue + 1\n```\n\nThe end.\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_made_from_today_s_page(page):
    assert stale(page) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_small_and_has_outputs(page):
    file = page.with_suffix(".ipynb")
    assert file.stat().st_size < 600_000
    made = json.loads(file.read_text())
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert any(cell.get("outputs") for cell in made["cells"])
    assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])


@pytest.mark.notebooks
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_s_page_runs_as_it_stands(page, tmp_path):
    copy = tmp_path / page.name
    copy.write_text(page.read_text())
    make(copy)
    assert stale(copy) == ""


def test_a_page_s_outputs_do_not_pile_up():
    output = execute("value = 2\nprint(value)\nvalue + 1", {}, "page")
    assert (output.text, output.value) == ("2\n", "3")
    once, files = page_with(PAGE, [output], "page")
    assert "```text\n2\n3\n```" in once
    assert files == {}
    assert page_with(once, [output], "page")[0] == once
    assert parts(once) == parts(PAGE)
    assert [kind for kind, _ in parts(PAGE)] == ["markdown", "code", "markdown"]
    assert [one["output_type"] for one in as_outputs(output)] == ["stream", "display_data"]


def test_a_page_is_run_and_a_changed_one_is_stale(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert "is not there" in stale(page)
    make(page)
    assert stale(page) == ""
    assert sources(json.loads(page.with_suffix(".ipynb").read_text())) == parts(PAGE)
    page.write_text(page.read_text().replace("value = 2", "value = 3"))
    assert "is not made from today's page" in stale(page)
