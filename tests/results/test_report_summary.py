"""The page for archives: it says what the report says, stays one page, and is the same for the same finding."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from test_report import head

from itermask.results.report import pictures
from itermask.results.report.sheet import DOTS, SIZE
from itermask.results.report.summary import _draw, summary_files
from itermask.types import UNKNOWN, VERDICTS, Source


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


def texts(scan, finding):
    """Every line of the page with its place, 0 to 1 from the bottom."""
    return [(each.get_text(), each.get_position()[1]) for each in _draw(scan, finding).figure.texts]


@pytest.mark.parametrize("verdict", [*VERDICTS, UNKNOWN])
def test_it_says_verdict_numbers_and_notice(verdict):
    scan, finding = head(verdict=verdict, warnings=("A note.",))
    page = " ".join(text for text, _ in texts(scan, finding))
    assert verdict[:1].upper() + verdict[1:] in page
    assert page.count("For research use only") >= 2
    for text in ("Score 3.20", "Note: A note.", "Region 1:", "Model: box-model"):
        assert text in page


def test_it_names_neither_patient_nor_study():
    scan, finding = head()
    source = Source(accession_number="A-123", study_uid="1.2.3", study_date="20260131", series_number=5,
                    instances=tuple(range(1, 21)))  # fmt: skip
    page = " ".join(text for text, _ in texts(replace(scan, source=source), finding))
    assert "A-123" not in page
    assert "Acquired: 2026-01-31" in page
    assert re.search(r"instance number \d+", page)


def test_the_same_finding_gives_the_same_page_of_one_sheet():
    scan, finding = head()
    (document, page), again = summary_files(scan, finding), summary_files(scan, finding)
    assert document == again[0]
    np.testing.assert_array_equal(page, again[1])
    assert page.dtype == np.uint8
    assert abs(page.shape[0] - SIZE[1] * DOTS) <= 1
    assert abs(page.shape[1] - SIZE[0] * DOTS) <= 1
    assert re.findall(rb"/Count (\d+)", document) == [b"1"]
    assert zlib.crc32(document) != zlib.crc32(summary_files(scan, replace(finding, verdict=VERDICTS[0]))[0])


def test_however_much_there_is_to_say_nothing_leaves_the_page():
    """Long notes are shortened, and those for which there is no room are left to the report."""
    notes = tuple(f"{number} " + "words " * 120 for number in range(30))
    scan, finding = head(warnings=notes)
    lines = texts(scan, finding)
    assert min(place for _, place in lines) > 0
    assert max(len(text) for text, _ in lines) < 160
    assert sum(text.startswith("Note:") for text, _ in lines) <= 6
