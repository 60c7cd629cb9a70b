"""Real scans that cannot be judged, lack tissue or hold lesions, made by the shared script of such cases."""

import importlib.util
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from tiny_model import oblique, stored_as

from itermask.errors import InputError
from itermask.io.nifti import read_scan
from itermask.io.scans import read_scans
from itermask.prepare.brain import with_brain
from itermask.prepare.plausibility import assess
from itermask.prepare.register import register
from itermask.prepare.small_copy import small_copy
from itermask.results.regions import find_regions, with_regions
from itermask.run_scans import run
from itermask.types import VERDICTS, Source

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(importlib.util.find_spec("deepbet") is None, reason="heads need deepbet"),
]
PSR, LPS = np.array([[1, -1], [2, 1], [0, 1]]), np.array([[0, -1], [1, -1], [2, 1]])


@pytest.fixture(scope="module")
def made(shared_data, tmp_path_factory):
    """The folder of all cases."""
    pytest.importorskip("pydicom")
    make, out = shared_data.parent / "cases" / "make.py", tmp_path_factory.mktemp("verdicts")
    if not make.is_file():
        pytest.skip("the script of cases is not beside the shared data")
    subprocess.run([sys.executable, str(make), str(out), str(shared_data)], check=True, capture_output=True)
    return out


def asked(path, mask=None):
    scan, _ = with_brain(read_scan(path, "T1w", mask) if path.is_file() else read_scans(path, "T1w")[0].scan)
    return assess(scan)


@pytest.mark.parametrize("name", ["clean_T1w.nii.gz", "dark-11ml_T1w.nii.gz", "bright-3ml_T1w.nii.gz"])
def test_a_brain_is_judged_without_a_word(made, name):
    found = asked(made / name)
    assert found.judged
    assert (found.notes, found.missing) == ((), None)


@pytest.mark.parametrize(
    "name",
    [
        "half-voxels_T1w.nii",
        "too-large_T1w.nii.gz",
        "noise_T1w.nii.gz",
        "tiny_T1w.nii.gz",
        "slice_T1w.nii.gz",
        "dicom/knee",
    ],
)
def test_what_is_no_brain_is_refused_in_one_line(made, name):
    with pytest.raises(InputError) as caught:
        asked(made / name)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("mask", ["mask-inverted", "mask-dot", "mask-zscored"])
def test_a_mask_that_is_no_brain_is_refused(made, mask):
    with pytest.raises(InputError):
        asked(made / "clean_T1w.nii.gz", made / f"{mask}.nii.gz")


def test_a_mask_that_does_not_fit_is_not_judged(made):
    assert "mask" in asked(made / "clean_T1w.nii.gz", made / "mask-shifted.nii.gz").reasons[0]


@pytest.mark.parametrize("name", ["ct_T1w.nii.gz", "really-T2w_T1w.nii.gz"])
def test_another_contrast_is_not_judged(made, name):
    assert "T1w" in asked(made / name).reasons[0]


@pytest.mark.parametrize(
    ("name", "words", "least", "most"),
    [
        ("slab-missing", "slab", 80, 160),
        ("hemisphere-missing", "half of the brain", 500, 900),
        ("bite", "left", 10, 40),
        ("head-bite", "left", 8, 40),
    ],
)
def test_missing_tissue_is_named_and_measured(made, name, words, least, most):
    found = asked(made / f"{name}_T1w.nii.gz")
    assert words in found.missing_part
    assert least < found.numbers["missing_ml"] < most


def test_a_child_is_not_judged(made):
    scan = read_scans(made / "dicom" / "child", "T1w")[0].scan
    scan, _ = with_brain(scan if scan.source else replace(scan, source=Source(age=3.0)))
    assert "3 years" in assess(scan).reasons[0]


def lesion_of(made, name):
    clean, other = (read_scan(made / f"{one}_T1w.nii.gz", "T1w") for one in ("clean", name))
    return other, abs(other.image - clean.image) > 0.3 * abs(other.image - clean.image).max()


@pytest.mark.parametrize("name", ["dark-3ml", "dark-11ml", "bright-3ml"])
def test_a_lesion_is_not_within_and_ranks_above_the_clean_head(made, name):
    scan, lesion = lesion_of(made, name)
    clean, found = run(made / "clean_T1w.nii.gz"), run(scan)
    assert found.verdict in VERDICTS[1:]
    assert found.stands_out > clean.stands_out
    assert (found.anomaly & lesion).any()
    middle = found.settings["registered"]["scanner_to_mni"] @ scan.affine @ [*ndimage.center_of_mass(lesion), 1]
    largest = with_regions(scan, found)["regions"]["listed"][0]
    side = "left" if middle[0] < 0 else "right"
    assert largest["side"] == side
    assert side in largest["place"]
    assert side in found.headline
    np.testing.assert_allclose(largest["position_mni_mm"], middle[:3], atol=8)


@pytest.mark.parametrize("orientation", [None, PSR, LPS], ids=["as stored", "turned", "LPS"])
@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize(("label", "side"), [(81, "right"), (82, "left"), (60, "left"), (40, "right")])
def test_left_and_right_are_true_however_a_head_is_stored(shared_data, orientation, tilted, label, side):
    """Anatomical labels of a head whose zero lies beside it: their names say the side."""
    name = "IXI013-HH-1212"
    loaded = nib.load(shared_data / "ixi-t1" / f"{name}_labels.nii.gz")
    labels = np.asarray(loaded.dataobj)
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=2))
    scan = replace(read_scan(shared_data / "ixi-t1" / f"{name}_T1w.nii.gz", "T1w"), brain_mask=brain, header=None)
    place = np.argwhere(labels == label)
    middle = place[np.argmin(((place - place.mean(axis=0)) ** 2).sum(axis=1))]
    anomaly = np.zeros(labels.shape, np.float32)
    anomaly[tuple(slice(at - 2, at + 3) for at in middle)] = 1
    affine = oblique(scan.affine) if tilted else scan.affine
    scan, mask = replace(scan, affine=affine), replace(scan, affine=affine, image=anomaly)
    if orientation is not None:
        scan, mask = stored_as(scan, orientation), stored_as(mask, orientation)
    found = register(small_copy(scan.image, scan.brain_mask, scan.affine))
    ((region,), _) = find_regions(mask.image > 0, mask.image, scan.affine, to_template=found.to_mni)
    assert region.side == side
    assert region.place.startswith(side)
