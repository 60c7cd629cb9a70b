"""Folders, tables and files as jobs of a cohort."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.apps.cohort.lists import age_and_sex, list_jobs, safe
from itermask.errors import InputError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(data, tmp_path, sequences=("T1w",), given=None):
    jobs, about = list_jobs([Path(one) for one in data], sequences, tmp_path / "out", given)
    return {job.name: job for job in jobs}, about


def test_a_data_sets_folder_gives_its_cases_with_masks_and_groups(tmp_path):
    data = touch(tmp_path / "data", "p1_T1w.nii.gz", "p1_FLAIR.nii.gz", "p1_brain.nii.gz", "p2_T1w.nii.gz")
    touch(data, "p2_labels.nii.gz")
    (data / "participants.tsv").write_text("participant_id\tage\tsex\np1\t41\tF\n")
    jobs, about = found([data], tmp_path)
    assert {name: (job.sequence, job.subject) for name, job in jobs.items()} == {
        "p1_T1w": ("T1w", "p1"), "p2_T1w": ("T1w", "p2"),
    }  # fmt: skip
    assert jobs["p1_T1w"].brain_mask == data / "p1_brain.nii.gz"
    assert about["p1_T1w"] == {"age": "41", "sex": "F"}
    assert set(found([data], tmp_path, ("T1w", "FLAIR"))[0]) == {"p1_FLAIR", "p1_T1w", "p2_T1w"}
    with pytest.raises(InputError, match="no PDw scan found"):
        found([data], tmp_path, ("PDw",))


def test_a_loose_folder_gives_every_image_named_after_its_path(tmp_path):
    data = touch(tmp_path / "data", "a/one.nii.gz", "b/one.nii.gz", "two.nii")
    jobs, _ = found([data], tmp_path, given="t1w")
    assert {name: (job.sequence, job.scan) for name, job in jobs.items()} == {
        "a-one": ("T1w", data / "a/one.nii.gz"),
        "b-one": ("T1w", data / "b/one.nii.gz"),
        "two": ("T1w", data / "two.nii"),
    }
    assert {job.sequence for job in found([data], tmp_path)[0].values()} == {None}, "refused when its turn comes"


def test_a_table_and_files(tmp_path):
    data = touch(tmp_path / "data", "x_T1w.nii.gz", "mask.nii.gz", "y.nii.gz", "z_FLAIR.nii.gz")
    table = data / "list.csv"
    table.write_text(
        "participant_id,path,sequence,brain_mask,age\nx,x_T1w.nii.gz,,mask.nii.gz,50\ny,y.nii.gz,T1w,,60\n"
    )
    jobs, about = found([table], tmp_path)
    assert {name: job.brain_mask for name, job in jobs.items()} == {"x_T1w": data / "mask.nii.gz", "y_T1w": None}
    assert about["y_T1w"] == {"age": "60"}
    jobs, _ = found([data / "x_T1w.nii.gz", data / "z_FLAIR.nii.gz"], tmp_path)
    assert {name: job.sequence for name, job in jobs.items()} == {"x_T1w": "T1w", "z_FLAIR": "FLAIR"}


def test_what_cannot_be_used_is_one_line(tmp_path):
    data = touch(tmp_path / "data", "x_T1w.nii.gz", "deep/x_T1w.nii.gz")
    with pytest.raises(InputError, match="no such folder, table or scan"):
        found([data / "none.nii.gz"], tmp_path)
    with pytest.raises(InputError, match="would have the same name, x_T1w; rename one"):
        found([data / "x_T1w.nii.gz", data / "deep" / "x_T1w.nii.gz"], tmp_path)
    with pytest.raises(InputError, match=r"lies inside .* choose a folder outside"):
        list_jobs([data], ("T1w",), data / "out")
    assert len(found([data / "x_T1w.nii.gz", data / "x_T1w.nii.gz"], tmp_path)[0]) == 1, "a scan twice is one"


@given(st.text(max_size=20))
def test_names_can_be_folders(text):
    name = safe(text)
    assert name
    assert not set(name) & set('/\\:*?"<>| \0')
    assert not name.startswith(".")
    assert safe(name) == name


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ({"Age": "30", "SEX": "male"}, {"age": "30", "sex": "M"}),
        ({"age_at_scan": "7", "gender": "f"}, {"age": "7", "sex": "F"}),
        ({"site": "A", "sex": "other"}, {"age": "", "sex": "other"}),
    ],
)
def test_age_and_sex_by_the_names_that_data_sets_use(groups, wanted):
    assert age_and_sex(groups) == wanted
