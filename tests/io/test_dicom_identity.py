"""UIDs of results: the same for the same finding, others for anything else."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import UID
from tiny_dicom import save, slices, some_finding

from itermask.io.dicom.identity import device_uid, identify
from itermask.io.dicom.read import read_dicom


@pytest.fixture
def found(tmp_path):
    save(tmp_path, slices())
    return read_dicom(tmp_path)[0]


def test_the_same_finding_has_the_same_uids_wherever_the_files_lie(found, tmp_path):
    save(tmp_path / "elsewhere", slices())
    other = read_dicom(tmp_path / "elsewhere")[0]
    one = identify(found.series, some_finding(found.scan))
    again = identify(other.series, some_finding(other.scan))
    assert found.scan.name != other.scan.name
    assert one == again
    assert one.uid("report") == again.uid("report")


@pytest.mark.parametrize("changed", ["mask", "seed", "model", "version", "point", "series"])
def test_anything_else_has_other_uids(found, tmp_path, changed):
    finding, series = some_finding(found.scan), found.series
    one = identify(series, finding)
    settings = finding.settings
    if changed == "mask":
        finding = replace(finding, anomaly=np.roll(finding.anomaly, 1))
    elif changed == "seed":
        finding = replace(finding, settings=settings | {"seed": 1})
    elif changed == "model":
        finding = replace(finding, settings=settings | {"model": "other"})
    elif changed == "version":
        finding = replace(finding, versions={"model": "4"})
    elif changed == "point":
        finding = replace(finding, settings=settings | {"operating_point": {"gamma": 1.4}})
    else:
        save(tmp_path / "other", slices(series=6))
        series = read_dicom(tmp_path / "other")[0].series
    assert identify(series, finding).uid("report") != one.uid("report")


def test_uids_are_valid_and_differ_by_role(found):
    identity = identify(found.series, some_finding(found.scan))
    made = [identity.uid(role) for role in ("report", "overlay 1", "overlay 2")] + [device_uid()]
    assert len(set(made)) == len(made)
    assert all(UID(uid).is_valid and len(uid) <= 64 for uid in made)
    assert device_uid() == device_uid()


def test_what_is_shown_of_the_settings(found):
    identity = identify(found.series, some_finding(found.scan))
    assert identity.model == "tiny 3"
    assert identity.parameters == {
        "model": "tiny 3",
        "method": "itermask3d",
        "operating_point": "gamma=1.3",
        "seed": "0",
        "brain_mask": "given",
    }
    assert [identity.series_number(nth) for nth in (1, 2)] == [501, 502]
    assert identify(replace(found.series, number=None), some_finding(found.scan)).series_number(1) == 1
