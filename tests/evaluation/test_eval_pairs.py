"""Names that belong together, names that do not, and names of which nobody can tell."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.errors import InputError
from itermask.evaluation.pairs import RUN_MASK, Item, find_items, pair
from itermask.io.outputs import OUTPUTS

NAMES = st.lists(st.text("ab1_-", min_size=1, max_size=6), max_size=6, unique=True)


def items(*names):
    """Items as if found under these paths."""
    return [Item(name, tuple(name.removesuffix(".nii.gz").split("/"))) for name in names]


def pairs(predictions, labels, role="label"):
    partners, _ = pair(items(*predictions), items(*labels), role)
    return {item.path: other.path for item, other in partners.items()}


@pytest.mark.parametrize(
    ("prediction", "label"),
    [
        ("sub-01", "sub-01"),
        ("sub-01_T1w", "sub-01_T1w_label"),
        ("sub-01_pred", "sub-01_seg"),
        ("sub-01_T1w_anomaly", "sub-01_T1w_desc-lesion_mask"),
        ("pred_case7", "label_case7"),
        ("case7", "case7/label"),
        ("case7/anomaly_map", "case7/lesion"),
        ("sub-01_ses-2", "sub-01/ses-2/lesion"),
        ("sub-01/ses-2", "sub-01/ses-2/anat/sub-01_ses-2_space-T1w_label-lesion_mask"),
        ("TCGA_CS_1_FLAIR", "TCGA_CS_1_lesion"),
        ("sub-01_FLAIR_error", "sub-01_T1w_lesion"),
        ("sub-01_T1w", "sub-01_T1w"),
    ],
)
def test_names_that_fit(prediction, label):
    others = (prediction.replace("01", "02").replace("7", "8").replace("CS_1", "CS_2"),)
    other_labels = (label.replace("01", "02").replace("7", "8").replace("CS_1", "CS_2"),)
    found = pairs((prediction, *others), (label, *other_labels))
    assert found == {prediction: label, others[0]: other_labels[0]}


@pytest.mark.parametrize(
    ("prediction", "label"),
    [
        ("sub-01", "sub-02"),
        ("sub-01", "sub-011_label"),
        ("case1", "case10"),
        ("sub-01_ses-1", "sub-01_ses-2_lesion"),
        ("a/x", "b/y"),
        ("sub-01", "sub-01_brain"),
        ("sub-01", "sub-01_desc-brain_mask"),
    ],
)
def test_names_that_do_not_fit(prediction, label):
    partners, reasons = pair(items(prediction), items(label), "label")
    assert partners == {}
    assert list(reasons.values()) == ["no label has its name"]


def test_the_stricter_way_goes_first():
    labels = ("sub-01_T1w_label", "sub-01_FLAIR_label")
    assert pairs(("sub-01_FLAIR", "sub-01_T1w"), labels) == {
        "sub-01_FLAIR": "sub-01_FLAIR_label",
        "sub-01_T1w": "sub-01_T1w_label",
    }
    assert pairs(("a/mask", "b/mask"), ("b/mask", "a/mask")) == {"a/mask": "a/mask", "b/mask": "b/mask"}


def test_files_of_other_roles_beside_the_label_do_not_disturb():
    labels = ("case/FLAIR", "case/brain", "case/lesion", "case/T1w")
    assert pairs(("case_error",), labels) == {"case_error": "case/lesion"}
    assert pairs(("case_error",), labels, "brain") == {"case_error": "case/brain"}
    assert pairs(("case_error",), ("case/lesion", "case/brain", "case/T1w"), "image") == {"case_error": "case/T1w"}
    assert pairs(("case",), ("case/lesion", "case/FLAIR", "other/brain"), "brain") == {}
    assert pairs(("sub-1", "sub-2"), ("sub-1_mask", "sub-2_mask"), "brain") == {
        "sub-1": "sub-1_mask",
        "sub-2": "sub-2_mask",
    }


def test_nobody_can_tell():
    _, reasons = pair(items("sub-01"), items("sub-01_ses-1/x", "sub-01_label", "sub-01_seg"), "label")
    assert list(reasons.values()) == ["more than one label fits: sub-01_label, sub-01_seg"]
    _, reasons = pair(items("sub-01_a_pred", "sub-01_b_pred"), items("sub-01_label"), "label")
    assert set(reasons.values()) == {"label sub-01_label fits more than one: sub-01_a_pred, sub-01_b_pred"}
    _, reasons = pair(items("x"), items(*(f"{folder}/x" for folder in "abcde")), "label")
    assert list(reasons.values()) == ["more than one label fits: a/x, b/x, c/x and 2 more"]


def test_a_leftover_is_not_forced_on_another():
    """What is ambiguous by name stays so when the rest has found its partner."""
    assert pairs(("siteA/01", "siteB/01"), ("siteA/01", "siteC/01")) == {"siteA/01": "siteA/01"}


@given(predictions=NAMES, labels=NAMES)
@settings(max_examples=80, deadline=None)
def test_no_label_twice_and_everyone_accounted_for(predictions, labels):
    partners, reasons = pair(items(*predictions), items(*labels), "label")
    assert len(set(partners.values())) == len(partners)
    assert {item.path for item in partners} | {item.path for item in reasons} == set(predictions)
    assert not partners.keys() & reasons.keys()
    backwards = pair(items(*predictions[::-1]), items(*labels[::-1]), "label")[0]
    assert backwards == partners
    for name in set(predictions) & set(labels):
        if not any(word in name for word in ("label", "seg")):
            assert {item.path: other.path for item, other in partners.items()}[name] == name


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_files_and_run_folders_are_found(tmp_path):
    run = ("anomaly.nii.gz", "error.nii.gz", "finding.json")
    touch(tmp_path, "b.nii", "a.NII.GZ", "notes.txt", ".hidden.nii", ".part-1/c.nii", *(f"deep/sub-1/{n}" for n in run))
    assert [item.name for item in find_items(tmp_path)] == ["a", "b", "deep/sub-1"]
    [found] = find_items(tmp_path / "deep" / "sub-1")
    assert (found.name, found.path) == ("sub-1", tmp_path / "deep" / "sub-1")
    assert find_items(tmp_path / "b.nii") == [Item(tmp_path / "b.nii", ("b",))]
    touch(tmp_path, *(f"deep/sub-1/again/{name}" for name in run))
    assert [item.name for item in find_items(tmp_path / "deep")] == ["sub-1", "sub-1/again"]


def test_a_run_folder_is_told_by_a_file_that_a_run_writes():
    assert RUN_MASK in OUTPUTS


def test_nothing_to_find_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        find_items(tmp_path / "none")
    touch(tmp_path, "notes.txt", ".hidden.nii")
    with pytest.raises(InputError, match="no NIfTI file"):
        find_items(tmp_path)
