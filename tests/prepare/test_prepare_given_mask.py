"""A given brain mask: refused where no brain can be like it, noted where it lies on no brain."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from tiny_model import tiny_head, tiny_scan

from itermask.errors import InputError
from itermask.prepare.brain import with_brain
from itermask.prepare.given_mask import BETTER, check_given, fit_of, misfit
from itermask.types import Scan


def test_the_scans_own_mask_needs_no_note():
    for skull in (True, False):
        assert check_given(tiny_scan(skull=skull)) == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("steps", [-5, 5])
def test_a_shifted_mask_is_noted(axis, steps):
    scan = tiny_scan(skull=True)
    moved = replace(scan, brain_mask=np.roll(scan.brain_mask, steps, axis))
    assert "does not fit the scan" in with_brain(moved)[0].notes[-1]


@pytest.mark.parametrize("steps", [-14, 14, 20])
def test_a_mask_beside_the_brain_is_noted_in_coarse_voxels_too(steps):
    image, brain = tiny_head((40, 40, 40), (6.0, 6.0, 6.0))
    scan = Scan(image, np.diag([6.0, 6, 6, 1]), "T1w", np.roll(brain, steps, 2), name="coarse")
    assert "does not fit the scan" in check_given(scan)[0]
    assert check_given(replace(scan, brain_mask=brain)) == ()


def test_a_mask_of_another_shape_is_noted():
    """As of another head at the same place: longer along one axis, shorter along another."""
    image, brain = tiny_head((48, 48, 48), (4.0, 4.0, 4.0))
    turned = np.ascontiguousarray(ndimage.zoom(brain.astype(np.float32), (1.35, 1 / 1.35, 1), order=1) > 0.5)
    other = np.zeros_like(brain)
    low = [(a - b) // 2 for a, b in zip(turned.shape, brain.shape, strict=True)]
    kept = tuple(slice(max(0, at), max(0, at) + 48) for at in low)
    put = tuple(slice(max(0, -at), max(0, -at) + min(48, size)) for at, size in zip(low, turned.shape, strict=True))
    other[put] = turned[kept]
    scan = Scan(image, np.diag([4.0, 4, 4, 1]), "T1w", other, name="other")
    assert "it may be another head's" in check_given(scan)[0]


def test_a_mask_on_the_empty_part_of_a_stripped_scan_is_noted():
    scan = tiny_scan(skull=False)
    wide = replace(scan, brain_mask=ndimage.binary_dilation(scan.brain_mask, iterations=2))
    assert "where the scan is empty" in with_brain(wide)[0].notes[-1]
    assert with_brain(scan)[0].notes == scan.notes


def test_an_inverted_mask_is_refused():
    scan = tiny_scan(skull=True)
    with pytest.raises(InputError, match=r"corners of the volume; is it inverted\?"):
        check_given(replace(scan, brain_mask=~scan.brain_mask))


def test_a_mask_larger_than_any_brain_is_refused():
    brain = np.zeros((100, 100, 100), bool)
    brain[10:-10, 10:-10, 10:-10] = True
    scan = Scan(np.random.default_rng(0).random(brain.shape, np.float32), np.diag([2.0, 2, 2, 1]), "T1w", brain)
    with pytest.raises(InputError, match=r"4\.1 litres, more than any brain"):
        check_given(scan)


def test_eight_voxels_are_refused():
    scan = tiny_scan(skull=True)
    dot = np.zeros_like(scan.brain_mask)
    dot[10:12, 10:12, 10:12] = True
    with pytest.raises(InputError, match=r"holds 0\.12 ml, too little for a brain"):
        check_given(replace(scan, brain_mask=dot))


def test_a_volume_too_small_for_a_brain_is_refused_in_words():
    image, _ = tiny_head()
    with pytest.raises(InputError, match=r"a volume of 6 × 7\.5 × 9 mm is too small to hold a brain"):
        with_brain(Scan(image[15:18, 15:18, 10:13], np.diag([2.0, 2.5, 3.0, 1.0]), "T1w", name="tiny"))


@pytest.mark.shared
def test_on_real_heads_every_own_mask_fits_and_every_shifted_one_is_noted(shared_data):
    for path in sorted((shared_data / "ixi-t1").glob("*_T1w.nii.gz"))[-4:]:
        image: nib.Nifti1Image = nib.load(path)
        labels = np.asanyarray(nib.load(str(path).replace("_T1w", "_labels")).dataobj)
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=2))
        data, spacing = np.asanyarray(image.dataobj, np.float32), image.header.get_zooms()
        own = fit_of(data, brain, spacing)
        assert own.best <= BETTER * own.here
        for axis in range(3):
            for steps in (-8, 8):  # 16 mm
                moved = fit_of(data, np.roll(brain, steps, axis), spacing)
                assert moved.best > BETTER * moved.here


@pytest.mark.shared
@pytest.mark.parametrize("thinned", [1, 3])
def test_on_real_heads_most_masks_of_other_subjects_are_noted(shared_data, thinned):
    """Voxels of 2 and 6 mm; in one of eight pairs the two heads lie alike."""
    cut = (slice(None, None, thinned),) * 3
    heads = []
    for path in sorted((shared_data / "ixi-t1").glob("*_T1w.nii.gz"))[:8]:
        image: nib.Nifti1Image = nib.load(path)
        labels = np.asanyarray(nib.load(str(path).replace("_T1w", "_labels")).dataobj)
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=2))
        affine = np.diag([*(thinned * size for size in image.header.get_zooms()), 1.0])
        heads.append(Scan(np.asanyarray(image.dataobj, np.float32)[cut], affine, "T1w", brain[cut], name=path.name))
    assert [misfit(head) for head in heads] == [()] * len(heads)
    others = [misfit(replace(a, brain_mask=b.brain_mask)) for a, b in zip(heads, heads[1:] + heads[:1], strict=True)]
    assert sum(map(bool, others)) >= 7
