"""The walk through one run in the architecture page: its line numbers hold, and only the part between marks changes."""

import sys
from pathlib import Path

import pytest

from walk import BEGIN, END, STOPS, main, location, table  # isort: skip

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"


def test_the_walk_in_the_documents_has_today_s_lines():
    assert len(STOPS) == 8
    shown = PAGE.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert shown == table(), "run: python scripts/walk.py --into docs/architecture.md"


def test_a_place_is_found_by_its_text():
    assert location("core/refinement.py", "def refine(").startswith("`core/refinement.py:")
    with pytest.raises(SystemExit, match="does not hold"):
        location("core/refinement.py", "def nowhere(")


def test_the_table_replaces_what_is_between_the_marks(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr(sys, "argv", ["walk.py", "--into", str(page)])
    main()
    assert page.read_text() == f"before\n{BEGIN}\n{table()}\n{END}\nafter\n"
    page.write_text("no marks\n")
    with pytest.raises(SystemExit, match="lacks the marks"):
        main()
