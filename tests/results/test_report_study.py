"""The page on a study: the worst series speaks first, and nothing leaves the sheet however many series there are."""

import numpy as np
from test_report import head

from itermask.results.report import pictures, write_report
from itermask.results.report.sheet import QUIET, RED
from itermask.results.report.study import ORDER, TONES, Part, draw_study, study_files

ABOUT = ("Acquired: 2026-01-31 10:11", "Maker")


def part(number, tone="green", **says):
    return Part(f"series {number}", "within the healthy range", tone, **says)


def texts(*arguments):
    figure = draw_study(*arguments).figure
    return [(each.get_text(), each.get_position()[1], each.get_color()) for each in figure.texts], len(figure.axes)


def test_the_worst_series_speaks_for_the_study(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    write_report(*head(), tmp_path / "report.html")
    worst = Part("series 4", "outside the healthy range", "red", "Something stands out", "score 4.2",
                 ("Perhaps incomplete.",), tmp_path / "report.html")  # fmt: skip
    aside = Part("series 1", "could not be processed", "failed", notes=("a localiser",), aside=True)
    lines, drawn = texts(ABOUT, "red", "outside: series 4", (part(2), aside, worst), ("It was discontinued.",))
    said = [text for text, _, _ in lines]
    assert ("Outside the healthy range", RED) in [(text, colour) for text, _, colour in lines]
    assert said.index("Series 4: outside the healthy range") < said.index("Series 2: within the healthy range")
    page = " ".join(said)
    for words in ("Score 4.2", "Note: Perhaps incomplete.", "series 1 (a localiser)", "Note: It was discontinued."):
        assert words in page
    assert page.count("For research use only") >= 2
    assert drawn == 1, "the series with a report shows its slices"


def test_nothing_leaves_the_page():
    parts = [part(number, headline="words " * 90, notes=("word " * 90,) * 9) for number in range(40)]
    lines, _ = texts(ABOUT, "green", "word " * 200, parts)
    assert min(place for _, place, _ in lines) > 0
    assert any("further series" in text for text, _, _ in lines)


def test_without_any_verdict_it_says_so():
    lines, _ = texts((), "grey", "nothing", ())
    assert ("Nothing was processed", QUIET) in [(text, colour) for text, _, colour in lines]
    assert set(TONES) == set(ORDER)


def test_the_same_study_gives_the_same_page():
    one, two = (study_files(ABOUT, "green", "within", (part(1),)) for _ in range(2))
    assert one[0] == two[0]
    assert one[0].startswith(b"%PDF")
    np.testing.assert_array_equal(one[1], two[1])
