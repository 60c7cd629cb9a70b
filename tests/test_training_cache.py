"""The cache of prepared scans: made once, made again when anything it depends on changes."""

import os
from dataclasses import replace

import numpy as np
import pytest
from tiny import BOX, tiny_grid, write_scan

from itermask.prepare.intensity import IntensityScale
from itermask.training.cache import cached_volume, prepare_entry, read_volume
from itermask.training.table import Entry


@pytest.fixture
def entry(tmp_path):
    return Entry(*write_scan(tmp_path / "scans", "a", seed=1), "train", "a")


def test_a_cached_scan_is_the_prepared_one(entry, tmp_path):
    grid = tiny_grid()
    volume = read_volume(cached_volume(entry, "T1w", grid, tmp_path / "cache"), grid)
    prepared = prepare_entry(entry, "T1w", grid)
    assert volume.images.shape == (1, *BOX)
    assert volume.spacing == grid.spacing
    np.testing.assert_array_equal(volume.brain, prepared.brain)
    np.testing.assert_allclose(volume.images[0], prepared.image, atol=2e-3)  # half precision
    assert (volume.images[0][~volume.brain] == -3).all()


def test_a_scan_is_prepared_once(entry, tmp_path):
    path = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    path.write_bytes(b"kept")
    assert cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache") == path
    assert path.read_bytes() == b"kept"
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left


@pytest.mark.parametrize("file", ["path", "brain_mask"])
def test_a_changed_file_is_prepared_again(entry, tmp_path, file):
    before = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    write_scan(tmp_path / "scans", "a", seed=2)
    changed = getattr(entry, file)
    other = entry.brain_mask if file == "path" else entry.path
    os.utime(changed, ns=(1, 10**18))
    os.utime(other, ns=(1, 10**18 + 7))
    middle = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    os.utime(changed, ns=(1, 10**18 + 1))
    after = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    assert len({before, middle, after}) == 3
    grid = tiny_grid()
    assert not np.array_equal(read_volume(before, grid).images, read_volume(after, grid).images)
    np.testing.assert_array_equal(read_volume(middle, grid).images, read_volume(after, grid).images)


def test_another_grid_scale_sequence_or_mask_is_another_file(entry, tmp_path):
    grid = tiny_grid()
    paths = [
        cached_volume(entry, "T1w", grid, tmp_path),
        cached_volume(entry, "T2w", grid, tmp_path),
        cached_volume(entry, "T1w", replace(grid, spacing=(4.5, 4.0, 4.0)), tmp_path),
        cached_volume(entry, "T1w", replace(grid, scale=IntensityScale(low=5.0)), tmp_path),
        cached_volume(replace(entry, brain_mask=write_scan(tmp_path, "other")[1]), "T1w", grid, tmp_path),
    ]
    assert len(set(paths)) == len(paths)


def test_a_brain_larger_than_the_box_is_cut_to_its_middle(entry, tmp_path):
    grid = replace(tiny_grid(), box=(8, 16, 12))
    volume = read_volume(cached_volume(entry, "T1w", grid, tmp_path), grid)
    whole = prepare_entry(entry, "T1w", grid).image
    assert whole.shape == (16, 16, 16)
    assert volume.images.shape == (1, 8, 16, 12)
    assert volume.brain.shape == (8, 16, 12)
    np.testing.assert_allclose(volume.images[0], whole[4:12, :, 2:14], atol=2e-3)
