"""A small picture of a scan: the slice with most of the anomaly, taken from the pictures in its report."""

import base64
import binascii
import io
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from itermask.results.report.pictures import CONTOUR, GAP

SIDE = 112  # pixels of the longer side
LARGEST = 50_000_000  # bytes of a report
KEPT = 2000  # pictures in memory
ROW = re.compile(rb'<img src="data:image/png;base64,([A-Za-z0-9+/=]+)" alt="Scan, (\w+) slices at ([^"]*?), with')

UNREADABLE = (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError)


def thumbnail(report: Path) -> bytes | None:
    r"""Return a report's thumbnail as a PNG file.

    Args:
        report: HTML file, as `itermask.results.report.write_report` writes it.

    Returns:
        PNG, its longer side `SIDE` pixels; None if the report cannot be read or holds no pictures.

    Example:
        >>> from itermask.results.report.page import write_report
        >>> write_report(scan, finding, folder / "report.html", viewer=False)
        >>> thumbnail(folder / "report.html")[:4]
        b'\x89PNG'
    """
    try:
        told = report.stat()
    except OSError:
        return None
    return _thumbnail(report, told.st_mtime_ns, told.st_size) if told.st_size <= LARGEST else None


@lru_cache(KEPT)
def _thumbnail(report: Path, changed: int, size: int) -> bytes | None:
    """Return the thumbnail of a report as it is since it was last changed."""
    try:
        rows = ROW.findall(report.read_bytes())
        pictures = [(_picture(png), positions.count(b",") + 1) for png, plane, positions in rows if plane == rows[0][1]]
    except UNREADABLE:
        return None
    if not pictures:
        return None
    picture = Image.fromarray(choose_tile(pictures))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def first_row(report: Path) -> np.ndarray | None:
    """Return the first picture in a report: slices of the scan with the anomaly's outline.

    Returns:
        uint8 (rows, columns, 3); None if the report cannot be read or holds no pictures.
    """
    try:
        found = ROW.search(report.read_bytes()) if report.stat().st_size <= LARGEST else None
        return None if found is None else _picture(found[1])
    except UNREADABLE:
        return None


def _picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"))


def choose_tile(rows: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Return the slice in which most pixels are the anomaly's contour; the middle one if there is no contour.

    Args:
        rows: pictures of slices side by side, with gaps of `GAP` pixels between them, uint8 (rows, columns, 3), and how
            many slices each shows; at least one.

    Returns:
        one slice, uint8 (rows, columns, 3).
    """
    tiles = []
    for picture, count in rows:
        width = max(1, (picture.shape[1] + GAP) // count - GAP)
        tiles += [picture[:, place : place + width] for place in range(0, count * (width + GAP), width + GAP)]
    marked = [int((tile == CONTOUR).all(axis=2).sum()) for tile in tiles]
    return tiles[int(np.argmax(marked))] if any(marked) else tiles[len(tiles) // 2]
