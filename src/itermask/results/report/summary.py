"""One page that says all that matters of a finding, as a PDF file and as a picture, for archives that show no HTML."""

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from itermask import __version__
from itermask.results.regions import regions_of
from itermask.results.report import pictures, text
from itermask.results.whose import facts_of
from itermask.types import VERDICTS, Finding, Scan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTICE = "For research use only; not a medical device and not a diagnosis."
SIZE = (8.27, 11.69)  # inches, A4
DOTS = 150  # an inch, of the picture
EDGE, LEADING = 0.6, 1.35  # inches; line height by letter height
WIDE = 0.52  # mean width of a letter by its height
INK, QUIET = "#1f2933", "#52606d"
COLOURS = dict(zip(VERDICTS, ("#2a722e", "#8a5200", "#b3261e"), strict=True))
LEVELS = {"green": "#2a722e", "amber": "#8a5200", "red": "#b3261e"}
ROW, PLANES = 1.25, 3  # inches of a row of slices, and how many rows
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
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with rc_context({"font.family": "DejaVu Sans", "text.parse_math": False, "pdf.fonttype": 3}):
        figure = _draw(scan, finding)
        document = io.BytesIO()
        about = {
            "Title": f"itermask: {finding.verdict}. {NOTICE}",
            "CreationDate": None,
            "Producer": None,
            "Creator": None,
        }
        figure.savefig(document, format="pdf", metadata=about)
        figure.set_dpi(DOTS)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return document.getvalue(), np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _Page:
    """A figure that is filled with lines from the top."""

    def __init__(self) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=SIZE, facecolor="white")
        self.y = SIZE[1] - EDGE

    def put(self, text: str, size: float = 9.0, colour: str = INK, bold: bool = False, after: float = 0.0) -> None:
        """Write a paragraph."""
        width = int(72 * (SIZE[0] - 2 * EDGE) / (WIDE * size * (1.1 if bold else 1.0)))
        for line in textwrap.wrap(text, width) or [""]:
            self.y -= LEADING * size / 72
            self.figure.text(
                EDGE / SIZE[0], self.y / SIZE[1], line, size=size, color=colour, weight="bold" if bold else "normal"
            )
        self.y -= after

    def picture(self, rgb: np.ndarray) -> None:
        """Put a picture, as wide as the page or as high as a row."""
        rows, columns = rgb.shape[:2]
        scale = min((SIZE[0] - 2 * EDGE) / columns, ROW / rows)
        wide, high = scale * columns, scale * rows
        self.y -= high + 0.05
        axes = self.figure.add_axes((EDGE / SIZE[0], self.y / SIZE[1], wide / SIZE[0], high / SIZE[1]))
        axes.imshow(rgb, aspect="auto")
        axes.set_axis_off()


def _draw(scan: Scan, finding: Finding) -> "Figure":
    """Return the page."""
    page = _Page()
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
    return page.figure
