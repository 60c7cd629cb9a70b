"""A page of paper that is filled with lines and pictures from the top, as a PDF file and as a picture."""

import io
import textwrap

import numpy as np

NOTICE = "For research use only; not a medical device and not a diagnosis."
SIZE = (8.27, 11.69)  # inches, A4
DOTS = 150  # an inch, of the picture
EDGE, LEADING = 0.6, 1.35  # inches; line height by letter height
WIDE = 0.52  # mean width of a letter by its height
INK, QUIET = "#1f2933", "#52606d"
GREEN, AMBER, RED = "#2a722e", "#8a5200", "#b3261e"
ROW = 1.25  # inches of a row of slices


def as_files(page: "Page", title: str) -> tuple[bytes, np.ndarray]:
    """Return a page as a PDF file, and as uint8 RGB (rows, columns, 3); the same page gives the same files."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with rc_context({"font.family": "DejaVu Sans", "text.parse_math": False, "pdf.fonttype": 3}):
        document = io.BytesIO()
        about = {"Title": title, "CreationDate": None, "Producer": None, "Creator": None}
        page.figure.savefig(document, format="pdf", metadata=about)
        page.figure.set_dpi(DOTS)
        canvas = FigureCanvasAgg(page.figure)
        canvas.draw()
    return document.getvalue(), np.asarray(canvas.buffer_rgba())[..., :3].copy()


class Page:
    """A figure that is filled with lines from the top.

    Attributes:
        figure: as large as the paper.
        y: inches from the lower edge to where the next line goes.
    """

    def __init__(self) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=SIZE, facecolor="white")
        self.y = SIZE[1] - EDGE

    @property
    def room(self) -> float:
        """Inches left above the foot of the page."""
        return self.y - EDGE - 0.4

    def put(self, text: str, size: float = 9.0, colour: str = INK, bold: bool = False, after: float = 0.0) -> None:
        """Write a paragraph."""
        width = int(72 * (SIZE[0] - 2 * EDGE) / (WIDE * size * (1.1 if bold else 1.0)))
        for line in textwrap.wrap(text, width) or [""]:
            self.y -= LEADING * size / 72
            self.figure.text(
                EDGE / SIZE[0],
                self.y / SIZE[1],
                line,
                size=size,
                color=colour,
                weight="bold" if bold else "normal",
                family="DejaVu Sans",
                parse_math=False,
            )
        self.y -= after

    def picture(self, rgb: np.ndarray, height: float = ROW) -> None:
        """Put a picture, as wide as the page or as high as `height` inches."""
        rows, columns = rgb.shape[:2]
        scale = min((SIZE[0] - 2 * EDGE) / columns, height / rows)
        wide, high = scale * columns, scale * rows
        self.y -= high + 0.05
        axes = self.figure.add_axes((EDGE / SIZE[0], self.y / SIZE[1], wide / SIZE[0], high / SIZE[1]))
        axes.imshow(rgb, aspect="auto")
        axes.set_axis_off()
