"""Segmentation and report read back by dcmqi, a reader of other authors; skips where it is not installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_dicom import enhanced, save, slices, some_finding

from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.write import write_dicom

pytestmark = pytest.mark.servers  # starts outside programs


def program(name):
    """A program of dcmqi: on the path, or beside this Python."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("dcmqi is not installed: pip install dcmqi")
    return found


def ran(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=[slices, enhanced], ids=["classic", "enhanced"])
def written(request, tmp_path):
    """A scan, its finding with two regions, and the folder with the results."""
    save(tmp_path / "source", request.param())
    found = read_dicom(tmp_path / "source")[0]
    anomaly = np.zeros(found.scan.image.shape, bool)
    anomaly[1:4, 1:3, 1:3] = True
    anomaly[-2, -2, 3] = True
    finding = some_finding(found.scan, anomaly)
    return finding, write_dicom(found.scan, found.series, finding, tmp_path / "out", summary=False)


def test_it_finds_the_same_voxels_in_the_same_places(written, tmp_path):
    finding, folder = written
    ran(
        program("segimage2itkimage"), "--inputDICOM", folder / "segmentation.dcm", "--outputDirectory", tmp_path,
        "--outputType", "nii", "--prefix", "read", "--mergeSegments",
    )  # fmt: skip
    (path,) = tmp_path.glob("read*.nii.gz")
    theirs = nib.load(path)
    there = np.argwhere(np.asanyarray(theirs.dataobj) > 0)
    ours = np.argwhere(finding.anomaly)
    places = [
        nib.affines.apply_affine(affine, voxels) for affine, voxels in ((theirs.affine, there), (finding.affine, ours))
    ]
    assert len(there) == len(ours) == finding.anomaly.sum()
    distance = np.linalg.norm(places[0][:, None] - places[1][None], axis=-1)
    assert distance.min(axis=0).max() < 0.01  # mm
    assert distance.min(axis=1).max() < 0.01


def test_its_report_says_the_volumes_and_the_segments(written, tmp_path):
    finding, folder = written
    ran(program("tid1500reader"), "--inputDICOM", folder / "scores.dcm", "--outputMetadata", tmp_path / "read.json")
    read = json.loads((tmp_path / "read.json").read_text())
    regions = [group for group in read["Measurements"] if "ReferencedSegment" in group]
    assert [group["ReferencedSegment"] for group in regions] == [1, 2]
    volumes = [
        float(item["value"])
        for group in regions
        for item in group["measurementItems"]
        if item["quantity"]["CodeMeaning"] == "Volume"
    ]
    voxel = abs(np.linalg.det(finding.affine[:3, :3])) / 1000
    assert sum(volumes) == pytest.approx(finding.anomaly.sum() * voxel, abs=0.011)
