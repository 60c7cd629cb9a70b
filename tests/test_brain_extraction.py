"""The benchmark of how well the brain is found: its distance, its cases, its table, and what becomes of failures."""

import json

import brain_extraction
import numpy as np
import pytest
from brain_parts import measure, pictures
from brain_parts.cases import STRIPPED, Case
from tiny_model import tiny_scan

from itermask.errors import InputError


def cube(low, high, size=20):
    mask = np.zeros((size,) * 3, bool)
    mask[low:high, low:high, low:high] = True
    return mask


@pytest.fixture
def case():
    return Case("heads", "tiny", lambda: (tiny_scan(given=False), tiny_scan().brain_mask))


def test_a_mask_is_no_distance_from_itself():
    assert measure.distance95(cube(4, 12), cube(4, 12), (1.0, 1.0, 2.0)) == 0


@pytest.mark.parametrize("grown", [1, 2, 3])
def test_a_cube_that_grows_on_all_sides_is_as_far_away_as_it_grows(grown):
    one, other = cube(6, 14), cube(6 - grown, 14 + grown)
    assert measure.distance95(one, other, (2.0,) * 3) >= 2.0 * grown
    assert measure.distance95(one, other, (2.0,) * 3) == measure.distance95(other, one, (2.0,) * 3)


def test_an_empty_mask_has_no_distance():
    assert np.isnan(measure.distance95(cube(0, 0), cube(4, 12), (1.0,) * 3))


def test_the_right_mask_is_perfect(case):
    row = measure.row_of(case, case.make(), "truth", lambda scan: tiny_scan().brain_mask)
    assert (row["dice"], row["distance"], row["volume"], row["problem"]) == (1, 0, 1, "")


def test_a_tool_that_fails_counts_as_one_that_finds_nothing(case):
    def fail(scan):
        raise RuntimeError("no\nbrain")

    row = measure.row_of(case, case.make(), "broken", fail)
    assert (row["dice"], row["volume"], row["problem"]) == (0, 0, "no brain")
    assert "broken (1 failed)" in measure.table([row])


def test_a_stripped_scan_stays_as_it_is(case):
    stripped = Case(f"here, {STRIPPED}", "tiny", case.make)
    ((name, find),) = measure.ways(stripped)
    assert measure.row_of(stripped, stripped.make(), name, find)["dice"] == 1
    head = tiny_scan(given=False, skull=True), tiny_scan().brain_mask
    assert "not taken as stripped" in measure.row_of(stripped, head, name, find)["problem"]


def test_figures_are_kept_and_the_table_goes_between_the_marks(case, tmp_path, monkeypatch):
    monkeypatch.setattr(brain_extraction.cases, "cases", lambda data, split: [case])
    monkeypatch.setattr(measure, "ways", lambda case, names: [("truth", lambda scan: tiny_scan().brain_mask)])
    words = ["--out", str(tmp_path)]
    for _ in range(2):
        brain_extraction.main(["measure", *words])
    rows = [json.loads(line) for line in (tmp_path / "test.jsonl").read_text().splitlines()]
    assert len(rows) == 1
    page = tmp_path / "page.md"
    page.write_text("<!-- benchmark brain-extraction: start -->\n<!-- benchmark brain-extraction: end -->\n")
    brain_extraction.main(["table", *words, "--insert", str(page)])
    assert "| heads | truth | 1 | 1.000 (1.000) | 0.0 (0.0) | 1.00 |" in page.read_text()
    with pytest.raises(InputError, match="has no lines"):
        brain_extraction.main(["table", *words, "--insert", str(tmp_path / "other.md")])


def test_a_picture_is_drawn_whatever_is_found(case, tmp_path):
    scan, brain = case.make()
    pictures.draw(scan, {"truth": brain, "nothing": np.zeros_like(brain)}, tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
