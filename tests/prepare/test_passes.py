"""The pass that revealed each voxel: told by the methods, brought home as the masks are, kept in files."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_io_outputs import some_finding, some_scan
from test_itermask2 import QUICK, KnowsSlices, found, with_ball
from tiny_model import ORIENTATIONS, stored_as, tiny_model, tiny_scan

import itermask
from itermask.apps.cohort.job import Job
from itermask.apps.cohort.layouts import passes_name, read, write
from itermask.core.refinement import record_passes, refine
from itermask.io.outputs import MISSING, PASSES, write_finding
from itermask.methods.itermask2.method import IterMask2
from itermask.methods.itermask3d.method import IterMask3D
from itermask.prepare.prepare import prepare
from itermask.prepare.restore import restore_mask, restore_passes
from itermask.results.report import pictures


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("passes") / "model")


@given(st.integers(0, 9))
def test_a_voxel_has_the_number_of_the_last_pass_that_hid_it(seed):
    """A model at random hides voxels again, which real ones do now and then."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 1, (6, 5, 4)).astype(np.float32)
    brain = rng.random(image.shape) < 0.8
    hidden = []

    def reconstruct(array, mask):
        hidden.append(mask)
        return (array + rng.normal(0, 1, array.shape) * 0.7 ** len(hidden)).astype(np.float32)

    revealed = brain.astype(np.uint8)
    refined = refine(image, brain, record_passes(reconstruct, revealed), 0.05)
    revealed[refined.mask] = refined.passes + 1
    masks = [*hidden, refined.mask]
    assert len(hidden) == refined.passes
    assert not revealed[~brain].any()
    for number in range(refined.passes + 1):
        assert np.array_equal(revealed > number, np.logical_or.reduce(masks[number:]))


@pytest.mark.parametrize("orientation", ORIENTATIONS[::11])
def test_every_pass_is_brought_home_as_the_mask_is(model, orientation):
    scan = stored_as(tiny_scan(seed=3), orientation)
    prepared = prepare(scan, model.grid)
    rng = np.random.default_rng(0)
    revealed = np.where(prepared.brain, rng.integers(1, 6, prepared.brain.shape), 0).astype(np.uint8)
    restored = restore_passes(revealed, prepared, scan.brain_mask)
    assert restored.dtype == np.uint8
    assert np.array_equal(restored > 0, scan.brain_mask)
    for number in range(1, 5):
        assert np.array_equal(restored > number, restore_mask(revealed > number, prepared, scan.brain_mask))


def test_what_is_above_the_last_pass_is_the_anomaly(model, tmp_path):
    scan = tiny_scan(seed=3, blob=120.0)
    finding = itermask.run(scan, model)
    passes = finding.search["passes"]
    assert finding.anomaly.any()
    assert np.array_equal(finding.revealed > passes, finding.anomaly)
    assert np.array_equal(finding.revealed > 0, finding.brain)
    write_finding(scan, finding, tmp_path)
    stored = nib.load(tmp_path / PASSES)
    assert stored.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(stored.dataobj), finding.revealed)
    write_finding(scan, replace(finding, revealed=None, missing=finding.anomaly), tmp_path)
    assert not (tmp_path / PASSES).exists()
    assert np.array_equal(nib.load(tmp_path / MISSING).get_fdata() > 0, finding.anomaly)
    write_finding(scan, finding, tmp_path)
    assert not (tmp_path / MISSING).exists()


@pytest.mark.parametrize("settings", [{}, {"iterate": False}])
def test_every_slice_tells_its_passes(settings):
    prepared, ball, normal = with_ball()
    detection = found(IterMask2(**QUICK | settings), prepared, KnowsSlices(prepared, normal.image))
    trace = detection.trace["mask_voxels"]
    assert [(detection.revealed > number).sum() for number in range(len(trace))] == trace
    assert np.array_equal(detection.revealed > detection.trace["passes"], detection.mask)
    assert (detection.mask & ball).any()


def test_one_pass_is_a_pass(model):
    prepared = prepare(tiny_scan(seed=3, blob=120.0), model.grid)
    method = IterMask3D(**model.method.settings() | {"iterate": False})
    detection = method.detect(prepared, model.runtime, np.random.default_rng(0), {"gamma": 0.01})
    assert np.array_equal(detection.revealed, prepared.brain.astype(np.uint8) + detection.mask)


@pytest.mark.parametrize("layout", ["bids", "folders"])
def test_a_cohort_keeps_the_passes(tmp_path, layout):
    scan = some_scan()
    finding = some_finding(scan)
    finding = replace(finding, revealed=finding.brain.astype(np.uint8) + finding.anomaly)
    job = Job("sub-01_T1w", tmp_path / "sub-01_T1w.nii.gz", "T1w", source="sub-01/anat/sub-01_T1w.nii.gz")
    sizes = write(scan, finding, job, layout, tmp_path)
    assert sizes[passes_name(job, layout)] > 0
    assert np.array_equal(read(scan, job, layout, tmp_path).revealed, finding.revealed)
    told = {name for name in sizes if "passes" in name}
    assert len(told) == (2 if layout == "bids" else 1)  # with a sidecar
