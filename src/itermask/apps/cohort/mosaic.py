"""A mosaic of all scans of a cohort: a small picture of each, from its report, the least normal first."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from itermask.apps.cohort.rows import Row
from itermask.results.report.thumbnails import thumbnail

SIDE = 84  # pixels of the longer side
QUALITY = 60  # of JPEG; a picture has about 2 kB
MOST = 2000  # pictures on a page


def pictures_of(rows: Sequence[Row], out: Path) -> dict[str, str]:
    """Return a data URI for each scan that has a report with pictures, by the scan's name.

    Args:
        rows: in the order in which they are shown; those behind the first `MOST` get no picture.
        out: results folder that the rows' reports lie in.
    """
    found = {}
    for row in [row for row in rows if row.report][:MOST]:
        png = thumbnail(out / row.report)
        if png is not None:
            found[row.record.name] = _small(png)
    return found


def _small(png: bytes) -> str:
    """Return a picture as a small JPEG, in a data URI."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
