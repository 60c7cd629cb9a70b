"""One page on a whole study, as a PDF file and as a picture: the worst series speaks for it, each has its lines."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itermask import __version__
from itermask.results.report import text as report_text
from itermask.results.report.sheet import AMBER, EDGE, GREEN, NOTICE, QUIET, RED, Page, as_files
from itermask.results.report.thumbnails import first_row

TONES = {"red": RED, "failed": RED, "amber": AMBER, "green": GREEN, "grey": QUIET}
ORDER = ("red", "failed", "amber", "green", "grey")  # the one that counts first
TALLEST = 1.1  # inches of a series' picture
LEAST = 0.3  # inches that a line of the page needs


@dataclass(frozen=True)
class Part:
    """What the page says of one series.

    Attributes:
        label: number and description.
        verdict: as text.
        tone: one of `ORDER`.
        headline: what decided the verdict.
        numbers: score and the like as text.
        notes: sentences that a reader must know.
        report: of the analysis, whose pictures are taken; None if there is none.
        aside: whether it was not meant to be processed; `notes` say why.
    """

    label: str
    verdict: str
    tone: str
    headline: str = ""
    numbers: str = ""
    notes: tuple[str, ...] = ()
    report: Path | None = None
    aside: bool = False


def study_files(
    about: Sequence[str], tone: str, line: str, parts: Sequence[Part], notes: Sequence[str] = ()
) -> tuple[bytes, np.ndarray]:
    """Return the page as a PDF file, and as uint8 RGB (rows, columns, 3); the same study gives the same page.

    It names neither patient nor study, which an archive shows beside it.

    Args:
        about: what is known of the study, such as the day and the scanner.
        tone: of the worst series.
        line: the study's one line, the worst series first.
        parts: all its series.
        notes: sentences on the study as a whole.
    """
    return as_files(draw_study(about, tone, line, parts, notes), f"itermask: {line}. {NOTICE}")


def draw_study(about: Sequence[str], tone: str, line: str, parts: Sequence[Part], notes: Sequence[str] = ()) -> Page:
    """Return the page; arguments as of `study_files`. What there is no room for is counted."""
    page = Page()
    page.put(NOTICE, 11, bold=True, after=0.1)
    page.put(" · ".join(filter(None, [*about, f"itermask {__version__}"])), 8, QUIET, after=0.1)
    judged = sorted((each for each in parts if not each.aside), key=lambda each: ORDER.index(each.tone))
    worst = judged[0].verdict if judged else "nothing was processed"
    page.put(_upper(worst), 20, TONES[tone], bold=True)
    page.put(_short(f"The study: {line}."), 10, after=0.05)
    for note in notes:
        page.put(f"Note: {note}", 9, after=0.03)
    page.y -= 0.1
    left = 0
    for each in judged:
        if page.room < TALLEST:
            left += 1
            continue
        _put_part(page, each)
    if left:
        page.put(f"{left} further series are on the node's page only; none is worse than those above.", 8, QUIET)
    aside = [f"{each.label} ({' '.join(each.notes)})" for each in parts if each.aside]
    if aside and page.room > LEAST:
        page.put(_short(f"Not meant to be processed: {'; '.join(aside)}."), 8, QUIET)
    page.y = EDGE
    page.put(f"{report_text.TRUST} {NOTICE}", 7, QUIET)
    return page


def _put_part(page: Page, part: Part) -> None:
    """Draw the lines of one series, and its slices with the outline."""
    page.put(_short(f"{_upper(part.label)}: {part.verdict}"), 10, TONES[part.tone], bold=True)
    said = ". ".join(filter(None, (_upper(part.headline), _upper(part.numbers))))
    if said:
        page.put(_short(f"{said}."), 9)
    for note in part.notes[:2]:
        page.put(_short(f"Note: {note}"), 8, QUIET)
    picture = None if part.report is None else first_row(part.report)
    if picture is not None and page.room > TALLEST + 0.1:
        page.picture(picture, TALLEST)
    page.y -= 0.08


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(text: str) -> str:
    return textwrap.shorten(text, 300, placeholder=" …")
