"""Scans of a BIDS tree: which are found, which are wanted, and which brain mask is whose."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.apps.cohort.bids import Selection, find_jobs, participants, parts_of, read_filters, sequences_wanted
from itermask.apps.cohort.run import check_names
from itermask.errors import InputError
from itermask.models import choice


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def tree(tmp_path):
    touch(
        tmp_path,
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_run-01_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_run-02_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_acq-space_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii",
        "sub-02/anat/sub-02_ce-gadolinium_T1w.nii.gz",
        "sub-02/anat/sub-02_part-phase_T1w.nii.gz",
        "sub-02/anat/sub-02_part-mag_T2w.nii.gz",
        # no scans of the tree:
        "sub-02/anat/sub-02_T1w.json",
        "sub-02/anat/sub-02_stripped_T1w.nii.gz",
        "sub-02/anat/sub-03_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w_mask.nii.gz",
        "sub-02/anat/sub-02_UNIT1.nii.gz",
        "sub-02/dwi/sub-02_dwi.nii.gz",
        "sub-02/func/sub-02_task-rest_bold.nii.gz",
        "derivatives/tool/sub-02/anat/sub-02_desc-preproc_T1w.nii.gz",
        "sourcedata/sub-04/anat/sub-04_T1w.nii.gz",
        "out/sub-02/anat/sub-02_desc-error_T1w.nii.gz",
    )
    return tmp_path


def names(tree, **how):
    return [job.name for job in find_jobs(tree, Selection(**how))]


T1W = [
    "sub-01_ses-1_acq-mprage_run-01_T1w",
    "sub-01_ses-1_acq-mprage_run-02_T1w",
    "sub-01_ses-2_acq-space_T1w",
    "sub-02_T1w",
]


def test_scans_are_found_by_name_and_parted_by_sequence(tree):
    jobs = {job.name: job for job in find_jobs(tree, Selection())}
    assert {name: job.sequence for name, job in jobs.items()} == {
        **dict.fromkeys(T1W, "T1w"),
        "sub-01_ses-1_FLAIR": "FLAIR",
        "sub-02_ce-gadolinium_T1w": "T1ce",
        "sub-02_part-mag_T2w": "T2w",
    }
    first = jobs[T1W[0]]
    assert (first.subject, first.session) == ("sub-01", "ses-1")
    assert tree / first.source == first.scan
    assert (jobs["sub-02_T1w"].session, jobs["sub-02_T1w"].brain_mask) == ("", None)


def test_selection_by_sequence_participant_and_session(tree):
    assert names(tree, sequences=("T1w",)) == T1W
    assert names(tree, sequences=("T1w",), participants=("02",)) == names(
        tree, sequences=("T1w",), participants=("sub-02",)
    )
    assert names(tree, sequences=("T1w", "FLAIR"), sessions=("1",)) == ["sub-01_ses-1_FLAIR", *T1W[:2]]
    assert names(tree, sequences=("T1w",), sessions=("ses-2",)) == T1W[2:3]


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        ({"acquisition": "mprage"}, T1W[:2]),
        ({"acquisition": "mprage", "run": 2}, T1W[1:2]),
        ({"run": "1"}, T1W[:1]),
        ({"run": ["01", "02"]}, T1W[:2]),
        ({"acq": None}, T1W[3:]),
        ({"acquisition": "*"}, T1W[:3]),
        ({"acquisition": "Query.ANY", "session": "2"}, T1W[2:3]),
        ({"session": "Query.NONE"}, T1W[3:]),
        ({"datatype": "anat", "suffix": "T1w", "extension": ".nii"}, T1W[3:]),
        ({}, T1W),
    ],
)
def test_filter_files_choose_by_entities(tree, tmp_path, conditions, wanted):
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"t1w": conditions, "bold": {"task": "rest"}}))
    assert names(tree, sequences=("T1w",), filters=read_filters(path)) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable BIDS filter file"),
        ("[]", "looks like"),
        ('{"t1w": "mprage"}', "looks like"),
        ('{"t1w": {"aquisition": "x"}}', "'aquisition' is not an entity"),
    ],
)
def test_filter_files_that_cannot_be_used_are_one_line(tmp_path, text, message):
    path = tmp_path / "filter.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_filters(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"participants": ("07",)}, "no participant 07 with scans; check --participant-label"),
        ({"sessions": ("9",)}, "no session 9 with scans; check --session-label"),
        ({"sequences": ("PDw",)}, "no PDw scan found"),
    ],
)
def test_what_is_asked_for_and_not_there_is_refused(tree, how, message):
    with pytest.raises(InputError, match=message):
        find_jobs(tree, Selection(**how))


def test_results_within_the_tree_are_no_scans(tree):
    touch(tree, "sub-02/out/anat/sub-02_T1w.nii.gz")
    with pytest.raises(InputError, match="have the same name"):
        check_names(find_jobs(tree, Selection(("T1w",))))
    assert [job.name for job in find_jobs(tree, Selection(("T1w",)), out=tree / "sub-02" / "out")] == T1W


def test_a_brain_mask_goes_to_the_scan_whose_entities_it_shares(tree):
    masks = tree / "derivatives" / "bet"
    touch(
        masks,
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_desc-brain_mask.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_run-02_desc-brain_mask.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_space-FLAIR_desc-brain_mask.nii.gz",
        "sub-02/anat/sub-02_run-1_desc-brain_mask.nii.gz",
        "sub-02/anat/sub-02_desc-lesion_mask.nii.gz",
    )
    jobs = find_jobs(tree, Selection(), masks)
    found = {job.name: job.brain_mask for job in jobs}
    assert all(bool(job.problem) == (job.brain_mask is None) for job in jobs)
    assert {name: path and path.name for name, path in found.items()} == {
        T1W[0]: "sub-01_ses-1_acq-mprage_desc-brain_mask.nii.gz",
        T1W[1]: "sub-01_ses-1_acq-mprage_run-02_desc-brain_mask.nii.gz",
        T1W[2]: None,
        T1W[3]: None,
        "sub-01_ses-1_FLAIR": "sub-01_ses-1_space-FLAIR_desc-brain_mask.nii.gz",
        "sub-02_ce-gadolinium_T1w": None,
        "sub-02_part-mag_T2w": None,
    }
    problem = next(job.problem for job in jobs if job.name == T1W[2])
    assert problem.startswith(f"{masks}: holds no brain mask for sub-01/ses-2/anat/{T1W[2]}.nii")
    with pytest.raises(InputError, match="no brain mask in it"):
        find_jobs(tree, Selection(), tree / "out")


def test_one_brain_mask_is_never_given_to_two_runs(tree):
    masks = tree / "derivatives" / "bet"
    touch(masks, "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_desc-brain_mask.nii.gz")
    for selection in (Selection(), Selection(filters={"t1w": {"run": "01"}})):
        jobs = {job.name: job for job in find_jobs(tree, selection, masks)}
        assert jobs[T1W[0]].brain_mask is None
        assert f"would be the brain mask of {T1W[0]}, {T1W[1]}; give each its own" in jobs[T1W[0]].problem


def test_echoes_of_one_acquisition_share_their_mask(tmp_path):
    touch(tmp_path, *(f"sub-1/anat/sub-1_echo-{echo}_T1w.nii.gz" for echo in (1, 2)))
    touch(tmp_path / "masks", "sub-1/anat/sub-1_desc-brain_mask.nii.gz")
    jobs = find_jobs(tmp_path, Selection(), tmp_path / "masks")
    assert [(job.problem, job.brain_mask.name) for job in jobs] == [("", "sub-1_desc-brain_mask.nii.gz")] * 2


def test_participants_give_age_and_sex(tree):
    assert participants(tree) == {}
    (tree / "participants.tsv").write_text(
        "participant_id\tAge\tGender\tsplit\nsub-01\t34\tfemale\tanything\n02\tn/a\tM\tx\n"
    )
    assert participants(tree) == {"sub-01": {"age": "34", "sex": "F"}, "sub-02": {"age": "", "sex": "M"}}
    (tree / "participants.tsv").write_bytes(b"participant_id\tage\n\xff\t1\n")
    with pytest.raises(InputError, match="not a readable table"):
        participants(tree)


def test_without_a_wish_the_sequences_of_the_models_are_processed(tmp_path, monkeypatch):
    card = json.loads((choice.BUNDLED / "t1w-2mm" / "card.json").read_text())
    for name, sequence in (("one", "T1w"), ("two", "FLAIR"), ("three", "T1w")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(card | {"sequence": sequence}))
    monkeypatch.setattr(choice, "BUNDLED", tmp_path)
    assert sequences_wanted((), None) == ("FLAIR", "T1w")
    assert sequences_wanted((), str(tmp_path / "two")) == ("FLAIR",)
    assert sequences_wanted(("t1w", "flair", "T1w"), "two") == ("T1w", "FLAIR")


LABEL = st.text("abcXYZ0189", min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from(["ses", "acq", "run", "rec", "ce"]), LABEL), LABEL)
def test_names_are_taken_apart_and_put_together(entities, subject):
    stem = "_".join([f"sub-{subject}", *(f"{key}-{label}" for key, label in entities.items()), "T1w"])
    assert parts_of(stem) == ({"sub": subject, **entities}, "T1w")
    assert Path(stem).name == stem
