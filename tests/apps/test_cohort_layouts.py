"""Findings as files of a cohort: names that cannot clash, sidecars, and the way back."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_io_outputs import some_finding, some_scan

from itermask.apps.cohort.job import LAYOUTS, Job
from itermask.apps.cohort.layouts import missing_name, names_of, read, read_summary, write
from itermask.io.outputs import OUTPUTS
from itermask.results.regions import MISSING, regions_of
from itermask.results.report import pictures
from itermask.results.report.page import render


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


def bids_job(stem, folder="sub-01/anat"):
    return Job(stem, Path(f"{stem}.nii.gz"), "T1w", source=f"{folder}/{stem}.nii.gz")


def test_names_of_bids_derivatives():
    assert names_of(bids_job("sub-01_T1w"), "bids") == {
        "anomaly": "sub-01/anat/sub-01_space-T1w_desc-anomaly_mask.nii.gz",
        "brain": "sub-01/anat/sub-01_space-T1w_desc-brain_mask.nii.gz",
        "error": "sub-01/anat/sub-01_desc-error_T1w.nii.gz",
        "reconstruction": "sub-01/anat/sub-01_desc-reconstruction_T1w.nii.gz",
        "finding": "sub-01/anat/sub-01_space-T1w_desc-anomaly_mask.json",
        "report": "sub-01_T1w.html",
    }
    named = names_of(bids_job("sub-01_acq-a_run-1_chunk-2_FLAIR"), "bids")
    assert named["anomaly"].endswith("/sub-01_acq-a_run-1_space-FLAIR_chunk-2_desc-anomaly_mask.nii.gz")


STEMS = st.builds(
    lambda run, acq, chunk, suffix: "_".join(filter(None, ("sub-1", acq, run, chunk, suffix))),
    st.sampled_from(["", "run-1", "run-2"]),
    st.sampled_from(["", "acq-T1w", "acq-x"]),
    st.sampled_from(["", "chunk-1"]),
    st.sampled_from(["T1w", "T2w", "FLAIR"]),
)


@given(STEMS, STEMS, st.sampled_from(LAYOUTS))
def test_two_scans_never_share_a_file(one, other, layout):
    first, second = (set(names_of(bids_job(stem), layout).values()) for stem in (one, other))
    assert (one == other) == bool(first & second)
    assert len(first) == 6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_finding_is_read_back_as_it_was(tmp_path, layout):
    scan = some_scan()
    finding = some_finding(scan, timings={}, percentile=float("nan"), warnings=("mind this",))
    job = bids_job("sub-01_T1w")
    sizes = write(scan, finding, job, layout, tmp_path)
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.*")}
    assert {name: path.stat().st_size for name, path in files.items()} == sizes
    found = read(scan, job, layout, tmp_path)
    for name in ("anomaly", "brain", "error", "reconstruction"):
        assert np.array_equal(getattr(found, name), getattr(finding, name))
        assert getattr(found, name).dtype == getattr(finding, name).dtype
    assert json.dumps(found.summary()) == json.dumps(finding.summary())
    assert read_summary(job, layout, tmp_path)["percentile"] is None


def test_a_folder_a_scan_holds_what_itermask_run_writes(tmp_path):
    scan = some_scan()
    write(scan, some_finding(scan), bids_job("sub-01_T1w"), "folders", tmp_path)
    assert {path.name for path in (tmp_path / "sub-01_T1w").iterdir()} == set(OUTPUTS)


def test_every_image_of_a_derivative_has_a_sidecar_with_units_and_its_source(tmp_path):
    scan = some_scan()
    finding = some_finding(scan, settings={"model": "tiny", "bias_correction": "N4 (made)", "alignment": "made"})
    write(scan, finding, bids_job("sub-01_T1w"), "bids", tmp_path)
    images = list(tmp_path.rglob("*.nii.gz"))
    assert len(images) == 4
    for path in images:
        sidecar = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
        assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
        assert sidecar["Units"]
        assert sidecar["Description"]
        assert sidecar["BiasCorrection"] == "N4 (made)"
        assert sidecar["Alignment"] == "made"
        assert "research use only" in sidecar["Notice"]
        is_mask = path.name.endswith("_mask.nii.gz")
        assert ("Type" in sidecar, "SpatialReference" in sidecar) == (is_mask, is_mask)
        assert ("Finding" in sidecar) == ("anomaly" in path.name)
        if "anomaly" in path.name:
            assert set(sidecar["FindingUnits"]) <= set(sidecar["Finding"])
        assert np.array_equal(nib.load(path).affine, nib.load(images[0]).affine)


@pytest.mark.parametrize("text", ["{}", '{"Finding": 3}', "nothing"])
def test_a_file_that_holds_no_finding_is_said(tmp_path, text):
    path = tmp_path / names_of(bids_job("sub-01_T1w"), "bids")["finding"]
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ValueError, match=r"no finding in it|Expecting value"):
        read_summary(bids_job("sub-01_T1w"), "bids", tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_report_drawn_again_still_speaks_of_missing_tissue(tmp_path, layout):
    scan = some_scan()
    finding = some_finding(scan, timings={})
    missing = np.zeros(scan.image.shape, bool)
    missing[:2, :2, :2] = True
    finding = replace(finding, anomaly=finding.anomaly | missing, brain=finding.brain | missing, missing=missing)
    job = bids_job("sub-01_T1w")
    sizes = write(scan, finding, job, layout, tmp_path)
    assert sizes[missing_name(job, layout)] > 0
    found = read(scan, job, layout, tmp_path)
    assert np.array_equal(found.missing, missing)
    assert MISSING in {region.kind for region in regions_of(scan, found)[0]}
    assert render(scan, found) == (tmp_path / names_of(job, layout)["report"]).read_text()
    assert len([name for name in sizes if "missing" in name]) == (2 if layout == "bids" else 1)  # with a sidecar


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_missing_where_nothing_is_written(tmp_path, layout):
    scan = some_scan()
    write(scan, some_finding(scan), bids_job("sub-01_T1w"), layout, tmp_path)
    assert read(scan, bids_job("sub-01_T1w"), layout, tmp_path).missing is None
