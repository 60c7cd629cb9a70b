"""BIDS trees: sessions and runs, lesion maps and brain masks of the right scan, and what participants.tsv says."""

import pytest

from itermask.errors import InputError
from itermask.io.datasets import read_dataset


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def by_name(cases):
    return {(case.subject, case.session): case for case in cases}


def test_sessions_and_sequences(tmp_path):
    touch(
        tmp_path,
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_acq-3d_FLAIR.nii",
        "sub-01/ses-1/anat/sub-01_ses-1_ce-gadolinium_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-02/anat/sub-02_T2w.nii.gz",
        "sub-02/dwi/sub-02_dwi.nii.gz",
        "sub-02/func/sub-02_task-rest_bold.nii.gz",
        "sub-02/anat/sub-02_T1w.json",
        "sourcedata/sub-03/anat/sub-03_T1w.nii.gz",
        "derivatives/tool/sub-02/anat/sub-02_desc-preproc_T1w.nii.gz",
        "sub-02/anat/sub-02_stripped_T1w.nii.gz",
        "sub-04.nii.gz",
    )
    cases = by_name(read_dataset(tmp_path))
    assert {key: set(case.paths) for key, case in cases.items()} == {
        ("01", "1"): {"T1w", "FLAIR", "T1ce"},
        ("01", "2"): {"T1w"},
        ("02", ""): {"T2w"},
    }
    assert all(case.healthy is None and case.lesion is None for case in cases.values())


def test_runs_are_kept_under_names_of_their_own(tmp_path):
    touch(
        tmp_path,
        *(f"sub-01/ses-1/anat/sub-01_ses-1_run-0{run}_T1w.nii.gz" for run in (1, 2)),
        *(f"sub-01/ses-1/anat/sub-01_ses-1_run-0{run}_T2w.nii.gz" for run in (1, 2)),
        "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz",
        "sub-02/anat/sub-02_acq-a_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-03/anat/sub-03_run-01_T1w.nii.gz",
        "derivatives/bet/sub-01/ses-1/anat/sub-01_ses-1_run-02_desc-brain_mask.nii.gz",
    )
    cases = by_name(read_dataset(tmp_path))
    assert {key: set(case.paths) for key, case in cases.items()} == {
        ("01", "1_run-01"): {"T1w", "T2w", "FLAIR"},
        ("01", "1_run-02"): {"T1w", "T2w"},
        ("02", ""): {"T1w"},
        ("02", "acq-a"): {"T1w"},
        ("03", ""): {"T1w"},
    }
    assert cases["01", "1_run-01"].brain_mask is None
    assert cases["01", "1_run-02"].brain_mask.name == "sub-01_ses-1_run-02_desc-brain_mask.nii.gz"


def test_one_name_twice_is_one_line(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T1w.nii")
    with pytest.raises(InputError, match=r"two files are the T1w of 01: .*keep one"):
        read_dataset(tmp_path)


def test_oasis_3_in_the_folders_of_its_download(tmp_path):
    touch(
        tmp_path,
        "OAS30001_MR_d0129/anat1/sub-OAS30001_ses-d0129_run-01_T1w.nii.gz",
        "OAS30001_MR_d0129/anat2/NIFTI/sub-OAS30001_ses-d0129_run-02_T1w.nii.gz",
        "OAS30001_MR_d0129/anat3/sub-OAS30001_ses-d0129_acq-TSE_T2w.nii.gz",
        "OAS30001_MR_d0757/anat2/sub-OAS30001_ses-d0757_T1w.nii.gz",
    )
    cases = by_name(read_dataset(tmp_path))
    assert list(cases) == [("OAS30001", "d0129_run-01"), ("OAS30001", "d0129_run-02"), ("OAS30001", "d0757")]
    assert set(cases["OAS30001", "d0129_run-01"].paths) == {"T1w", "T2w"}


@pytest.mark.parametrize(
    "mask",
    [
        "derivatives/masks/sub-01/anat/sub-01_label-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_desc-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_space-orig_desc-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_space-FLAIR_label-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_label-L_desc-T1lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_acq-tse3_FLAIR_desc-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_label-lesion_dseg.nii.gz",
        "derivatives/masks/sub-01/sub-01_lesion.nii.gz",
        "derivatives/manual_lesions/sub-01/anat/sub-01_dseg.nii.gz",
        "derivatives/manual_lesions/sub-01/anat/sub-01_mask.nii.gz",
        "sub-01/anat/sub-01_T1w_label-lesion_roi.nii.gz",
        "sub-01/anat/sub-01_desc-lesion_mask.nii.gz",
    ],
)
def test_names_of_lesion_maps(tmp_path, mask):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_acq-tse3_FLAIR.nii.gz", mask)
    (case,) = read_dataset(tmp_path)
    assert (case.lesion, case.brain_mask, case.healthy) == (tmp_path / mask, None, False)
    assert set(case.paths) == {"T1w", "FLAIR"}


@pytest.mark.parametrize(
    "mask",
    [
        "derivatives/fmriprep/sub-01/anat/sub-01_dseg.nii.gz",
        "derivatives/fmriprep/sub-01/anat/sub-01_mask.nii.gz",
        "derivatives/lesions/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_space-MNI152NLin2009cAsym_label-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_acq-other_label-lesion_mask.nii.gz",
        "derivatives/masks/sub-02/anat/sub-02_label-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/ses-2/anat/sub-01_ses-2_label-lesion_mask.nii.gz",
        "derivatives/masks/sub-01/anat/sub-01_label-lesion_probseg.nii.gz",
    ],
)
def test_names_of_what_is_no_lesion_map_of_this_scan(tmp_path, mask):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz", mask)
    (case,) = read_dataset(tmp_path)
    assert (case.lesion, case.healthy) == (None, None)


def test_masks_go_to_their_own_session(tmp_path):
    for session in ("1", "10"):
        touch(tmp_path, f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz")
    touch(
        tmp_path,
        "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
        "derivatives/m/sub-01/ses-10/anat/sub-01_ses-10_label-lesion_mask.nii.gz",
        "derivatives/m/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "derivatives/m/sub-02/anat/sub-02_desc-brain_mask.nii.gz",
    )
    cases = by_name(read_dataset(tmp_path))
    assert cases["01", "1"].lesion is None
    assert cases["01", "10"].lesion.name == "sub-01_ses-10_label-lesion_mask.nii.gz"
    assert cases["01", "1"].brain_mask is None, "it does not say of which of two sessions it is"
    assert cases["02", "1"].brain_mask.name == "sub-02_desc-brain_mask.nii.gz"


def test_the_plain_lesion_map_goes_before_its_parts_and_two_plain_ones_are_one_line(tmp_path):
    folder = "derivatives/lesion_masks/sub-01/anat/sub-01"
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz", f"{folder}_desc-lesionAcute_mask.nii.gz")
    touch(tmp_path, f"{folder}_desc-lesion_mask.nii.gz")
    assert read_dataset(tmp_path)[0].lesion.name == "sub-01_desc-lesion_mask.nii.gz"
    touch(tmp_path, "derivatives/other/sub-01/anat/sub-01_desc-lesion_mask.nii.gz")
    with pytest.raises(InputError, match=r"two files are the lesion map of 01: .*name it in a table") as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_of_several_brain_masks_in_place_the_first_is_taken(tmp_path):
    touch(
        tmp_path,
        "sub-01/anat/sub-01_T1w.nii.gz",
        "derivatives/a/sub-01/anat/sub-01_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
        "derivatives/a/sub-01/func/sub-01_task-rest_desc-brain_mask.nii.gz",
        "derivatives/b/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "derivatives/c/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    )
    assert read_dataset(tmp_path)[0].brain_mask.parts[-4] == "b"


def test_a_derivative_read_by_itself_keeps_its_spaces_together(tmp_path):
    root = tmp_path / "derivatives" / "prep"
    for space in ("", "_space-MNI"):
        touch(
            root,
            f"sub-01/anat/sub-01{space}_desc-preproc_T1w.nii.gz",
            f"sub-01/anat/sub-01{space}_desc-brain_mask.nii.gz",
        )
    cases = by_name(read_dataset(root))
    assert cases["01", "desc-preproc"].brain_mask.name == "sub-01_desc-brain_mask.nii.gz"
    assert cases["01", "space-MNI_desc-preproc"].brain_mask.name == "sub-01_space-MNI_desc-brain_mask.nii.gz"


@pytest.mark.parametrize("folder", ["", "rawdata"])
def test_participants(tmp_path, folder):
    touch(tmp_path / folder, *(f"sub-0{n}/anat/sub-0{n}_T1w.nii.gz" for n in range(1, 6)))
    touch(tmp_path, "derivatives/m/sub-02/anat/sub-02_label-lesion_mask.nii.gz")
    touch(tmp_path, "derivatives/m/sub-03/anat/sub-03_label-lesion_mask.nii.gz")
    (tmp_path / folder / "participants.tsv").write_text(
        "participant_id\tsplit\tgroup\tage\tSex\tsite\thealthy\n"
        "sub-01\ttrain\tControl\t34\tF\tA\tn/a\n"
        "sub-02\tval\tpatient\tn/a\tM\tB\t\n"
        "03\ttest\tpatient\t50\tM\tB\tyes\n"
        "sub-04\t\tpatient\t50\tM\tB\t0\n"
    )
    cases = by_name(read_dataset(tmp_path))
    assert [case.split for case in cases.values()] == ["train", "val", "test", "", ""]
    assert [case.healthy for case in cases.values()] == [True, False, True, False, None]
    assert cases["01", ""].group == {"group": "Control", "age": "34", "sex": "F", "site": "A"}
    assert cases["02", ""].group == {"group": "patient", "sex": "M", "site": "B"}
    assert cases["05", ""].group == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"participant_id\tsplit\nsub-01\ttraining\n", "line 2: split is 'training', not one of train, val, test"),
        (b"participant_id\thealthy\nsub-01\tmaybe\n", "line 2: healthy is 'maybe'"),
        (b"name\tsplit\nsub-01\ttrain\n", "column participant_id is missing"),
        (b"participant_id\tsplit\nsub-01\ttrain\nsub-01\tval\n", "line 3: sub-01 has an earlier, different row"),
        (b"participant_id\tage\tage\nsub-01\t1\t2\n", "column age appears twice"),
        (b"participant_id\tsite\nsub-01\tM\xfcnchen\n", "not a readable table"),
    ],
)
def test_participants_that_cannot_be_used_are_one_line(tmp_path, text, message):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    table = tmp_path / "participants.tsv"
    table.write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(caught.value).startswith(str(table))
    assert "\n" not in str(caught.value)
