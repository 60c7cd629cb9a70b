"""One page that says all that matters of a finding, as a PDF file and as a picture, for archives that show no HTML."""

import textwrap

import numpy as np

from itermask import __version__
from itermask.results.regions import regions_of
from itermask.results.report import pictures, text
from itermask.results.report.sheet import AMBER, EDGE, GREEN, INK, NOTICE, QUIET, RED, Page, as_files
from itermask.results.whose import facts_of
from itermask.types import VERDICTS, Finding, Scan

COLOURS = dict(zip(VERDICTS, (GREEN, AMBER, RED), strict=True))
LEVELS = {"green": GREEN, "amber": AMBER, "red": RED}
PLANES = 3  # rows of slices
LISTED, TOLD = 5, 6  # regions and notes on the page


def summary_files(scan: Scan, finding: Finding) -> tuple[bytes, np.ndarray]:
    """Return the page as a PDF file, and as uint8 RGB (rows, columns, 3); the same finding gives the same page.

    It holds the verdict, what decided it, the three answers, slices with the outline, numbers, the largest regions,
    notes and the notice. It names neither patient nor study, which an archive shows beside it.

    Args:
        scan: that was processed.
        finding: on the scan's grid.

    Example:
        >>> pdf, image = summary_files(scan, finding)
        >>> pdf[:4], image.ndim
        (b'%PDF', 3)
    """
    return as_files(_draw(scan, finding), f"itermask: {finding.verdict}. {NOTICE}")


def _draw(scan: Scan, finding: Finding) -> Page:
    """Return the page."""
    page = Page()
    page.put(NOTICE, 11, bold=True, after=0.1)
    known = [f"{label}: {value}" for label, value in facts_of(scan.source) if label != "Study"]
    about = [
        *known,
        f"Sequence: {scan.sequence or 'not known'}",
        f"Model: {finding.settings.get('model') or 'not named'}",
    ]
    page.put(" · ".join([*about, f"itermask {__version__}"]), 8, QUIET, after=0.1)
    page.put(finding.verdict[:1].upper() + finding.verdict[1:], 20, COLOURS.get(finding.verdict, INK), bold=True)
    page.put(text.headline(finding), 11)
    if not finding.headline and (why := text.reason(finding)):
        page.put(why, 9)
    page.y -= 0.1
    for row in text.question_rows(finding):
        page.put(row["asks"], 9, LEVELS.get(row["tone"], QUIET), bold=True)
        page.put(f"{row['sentence']} {row['number']}".strip(), 9, after=0.04)
    page.y -= 0.05
    for drawn in pictures.draw_planes(scan, finding)[:PLANES]:
        page.picture(drawn.scan)
    if scan.image.size:
        marked = "red outline: marked as anomaly" if finding.anomaly.any() else "nothing is marked"
        page.put(f"The patient’s right (R) is on the left of axial and coronal slices; {marked}.", 8, QUIET, after=0.08)
    numbers = [f"{one['label']} {one['value']} ({one['note']})" for one in text.numbers(finding)]
    page.put("; ".join(numbers).replace(" ()", "") + ".", 9, after=0.05)
    regions, count = regions_of(scan, finding, LISTED)
    for number, row in enumerate(text.region_rows(regions), 1):
        image = f", instance number {row['instance']}" if row["instance"] else ""
        place = f"{row['part']}, " if row["part"] else ""
        page.put(f"Region {number}: {place}{row['volume']} ml, {row['place']} mm{image}", 8)
    if count > len(regions):
        page.put(f"{count - len(regions)} smaller regions are not listed here.", 8, QUIET)
    page.y -= 0.05
    told = [f"Note: {sentence}" for sentence in finding.warnings[:TOLD]]
    if len(finding.warnings) > TOLD:
        told.append(f"{len(finding.warnings) - TOLD} further notes stand in the report.")
    for sentence in told:
        if page.y > EDGE + 0.75:  # room for four lines above the foot
            page.put(textwrap.shorten(sentence, 400, placeholder=" …"), 8)
    page.y = EDGE
    page.put(f"{text.TRUST} {NOTICE}", 7, QUIET)
    return page
