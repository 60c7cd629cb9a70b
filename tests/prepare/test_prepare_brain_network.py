"""The bundled network that finds the brain: its grid in a scan, its intensity scale, and what it finds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from tiny_model import ORIENTATIONS, stored_as, turned

from itermask.io.nifti import read_scan
from itermask.prepare.brain_network import Box, card, find_brain, scaled


def box_of(sizes, spacing, shape=(24, 24, 24), step=2.5):
    return Box(sizes, spacing, shape, step, tuple(n * s / 2 for n, s in zip(sizes, spacing, strict=True)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 2.5, 2.5), (0.9, 0.9, 6.0)])
def test_a_constant_scan_stays_constant_wherever_it_has_data(spacing):
    sizes = tuple(round(40 / step) for step in spacing)
    values, view = box_of(sizes, spacing).fill(np.full(sizes, 7.0))
    assert view.any()
    assert not view.all()
    assert np.allclose(values[view], 7, rtol=1e-5)
    assert not values[~view].any()


def test_a_mask_goes_to_the_box_and_back():
    grid = np.indices((40, 44, 36)) - np.array([20, 22, 18])[:, None, None, None]
    mask = (grid**2).sum(axis=0) < 14**2
    box = box_of(mask.shape, (1.0, 1.0, 1.0))
    back = box.give_back(box.fill(mask)[0]) > 0.5
    assert 2 * (mask & back).sum() / (mask.sum() + back.sum()) > 0.98


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.01, 5.0), (300.0, -1024.0)])
def test_the_scale_does_not_depend_on_units(slope, offset):
    image = np.random.default_rng(0).gamma(2.0, size=(20, 20, 20))
    view = np.ones(image.shape, bool)
    assert np.allclose(scaled(slope * image + offset, view), scaled(image, view), atol=1e-4)


@pytest.mark.parametrize("image", [np.zeros((30, 30, 30)), np.full((30, 30, 30), np.nan)])
def test_nothing_holds_no_brain(image):
    assert not find_brain(image, np.diag([6.0, 6.0, 6.0, 1.0])).any()


def test_an_affine_without_volume_is_refused():
    with pytest.raises(ValueError, match="not invertible"):
        find_brain(np.zeros((8, 8, 8)), np.zeros((4, 4)))


def test_the_card_states_origin_and_licence():
    assert card()["data"]["license"] == "CC BY-SA 3.0"
    assert "IXI" in card()["data"]["name"]


@pytest.mark.shared
def test_the_brain_of_a_real_flair_stack_whatever_its_orientation(shared_data):
    path = shared_data / "lgg-flair" / "TCGA_CS_4942_FLAIR.nii.gz"
    scan = read_scan(path, "FLAIR", path.with_name("TCGA_CS_4942_brain.nii.gz"))
    found = find_brain(scan.image, scan.affine)
    assert 2 * (found & scan.brain_mask).sum() / (found.sum() + scan.brain_mask.sum()) > 0.9
    assert ndimage.label(found)[1] == 1
    again = stored_as(replace(scan, brain_mask=None), ORIENTATIONS[29])
    other = turned(found, ORIENTATIONS[29])
    assert np.mean(find_brain(again.image, again.affine) != other) < 1e-3
