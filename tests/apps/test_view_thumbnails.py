"""Thumbnails: the slice that shows the anomaly, from a real report; none from anything else."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_report import head

from itermask.apps.view.thumbnails import SIDE, choose_tile, thumbnail
from itermask.results.report import pictures, write_report
from itermask.results.report.pictures import CONTOUR, GAP


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=3), width=st.integers(3, 40), data=st.data())
def test_the_tile_with_most_contour_is_chosen(counts, width, data):
    wanted = data.draw(st.integers(0, sum(counts) - 1))
    tiles = [np.full((5, width, 3), number, np.uint8) for number in range(sum(counts))]
    tiles[wanted][1:3, :2] = CONTOUR
    tiles[0][0, 0] = CONTOUR
    gap = np.full((5, GAP, 3), 255, np.uint8)
    ends = np.cumsum(counts)
    rows = []
    for end, count in zip(ends, counts, strict=True):
        spaced = [part for tile in tiles[end - count : end] for part in (tile, gap)][:-1]
        rows.append((np.concatenate(spaced, axis=1), count))
    np.testing.assert_array_equal(choose_tile(rows), tiles[wanted])


def test_without_contour_it_is_the_middle():
    tiles = [np.full((4, 4, 3), number, np.uint8) for number in range(3)]
    gap = np.full((4, GAP, 3), 255, np.uint8)
    row = np.concatenate([tiles[0], gap, tiles[1], gap, tiles[2]], axis=1)
    np.testing.assert_array_equal(choose_tile([(row, 3)]), tiles[1])


def test_of_a_real_report(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    scan, finding = head()
    write_report(scan, finding, tmp_path / "report.html", viewer=False)
    made = Image.open(io.BytesIO(thumbnail(tmp_path / "report.html")))
    tile = pictures.draw_planes(scan, finding)[0]
    rows, columns = tile.scan.shape[0], (tile.scan.shape[1] + GAP) // len(tile.positions) - GAP
    assert max(made.size) <= SIDE
    assert made.size[0] / made.size[1] == pytest.approx(columns / rows, rel=0.05)
    reddish = np.asarray(made).astype(int)
    assert ((reddish[..., 0] - reddish[..., 1]) > 60).any(), "the anomaly's contour is in it"


def test_of_anything_else_there_is_none(tmp_path):
    assert thumbnail(tmp_path / "none.html") is None
    for number, picture in enumerate((b"", b"AAAA", b"A", b"iVBORw0KGgo=")):
        path = tmp_path / f"{number}.html"
        path.write_bytes(b'<img src="data:image/png;base64,%s" alt="Scan, axial slices at S 1 mm, with">' % picture)
        assert thumbnail(path) is None
