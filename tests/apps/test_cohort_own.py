"""Results folders of cohorts: what is read, and what others wrote, is never replaced."""

import json

import pytest
from tiny_cohort import write_bids
from tiny_model import tiny_scan, write_nifti

from itermask.apps.cohort.derivative import describe_derivative
from itermask.apps.cohort.job import Job, Plan
from itermask.apps.cohort.manifest import LOGS, MANIFEST
from itermask.apps.cohort.own import check_results
from itermask.errors import InputError


def jobs_of(tmp_path):
    scan = write_nifti(tmp_path / "a_T1w.nii.gz", tiny_scan())
    return [Job("a_T1w", scan, "T1w", source=str(scan))]


def used(out):
    """As a run leaves it."""
    (out / LOGS).mkdir(parents=True)
    (out / MANIFEST).mkdir()
    (out / LOGS / ".lock").touch()
    return out


def test_new_and_used_folders_are_fine(tmp_path):
    jobs = jobs_of(tmp_path)
    check_results(jobs, Plan(tmp_path / "new"))
    out = used(tmp_path / "used")
    (out / "a_T1w").mkdir()
    (out / "a_T1w" / "brain.nii.gz").write_text("an earlier result")
    check_results(jobs, Plan(out))


@pytest.mark.parametrize("name", ["a_T1w/brain.nii.gz", "group_T1w.tsv", "manifest/mine", "logs/mine"])
def test_files_of_others_stay(tmp_path, name):
    jobs, out = jobs_of(tmp_path), tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(InputError, match="was not written by itermask"):
        check_results(jobs, Plan(out))
    (out / name).rename(tmp_path / "away")


def test_scans_masks_and_tables_that_are_read_stay(tmp_path):
    out = used(tmp_path / "out")
    (out / "a_T1w").mkdir()
    inside = write_nifti(out / "a_T1w" / "brain.nii.gz", tiny_scan())
    outside = write_nifti(tmp_path / "b_T1w.nii.gz", tiny_scan())
    for job in (Job("a_T1w", inside, "T1w"), Job("a_T1w", outside, "T1w", inside)):
        with pytest.raises(InputError, match="would replace the input"):
            check_results([job], Plan(out))
    (out / "group_T1w.tsv").write_text("path\n")
    with pytest.raises(InputError, match="would replace the input"):
        check_results([Job("b", outside, "T1w")], Plan(out), [out / "group_T1w.tsv"])


def test_another_data_set_is_not_described_anew(tmp_path, command):
    tree, other = write_bids(tmp_path / "tree"), tmp_path / "fmriprep"
    other.mkdir()
    description = {"Name": "fMRIPrep", "BIDSVersion": "1.8.0", "GeneratedBy": [{"Name": "fMRIPrep"}]}
    (other / "dataset_description.json").write_text(json.dumps(description))
    code, _, errors = command("bids", tree, other, "--skip-bids-validation")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "holds another data set" in errors
    assert json.loads((other / "dataset_description.json").read_text()) == description
    describe_derivative(tree, tmp_path / "own")
    check_results([], Plan(tmp_path / "own", "bids"))
