"""Which scans are trained on: a table or a BIDS tree, with no subject in two splits."""

from dataclasses import replace
from pathlib import Path

import pytest

from itermask.errors import InputError
from itermask.training.table import Entry, one_per_scan, read_data


def table(folder, rows, name="scans.tsv", columns=("participant_id", "path", "split", "brain_mask", "sequence")):
    """A table of rows, with the files it names (but those with `none` in their name)."""
    separator = "," if name.endswith(".csv") else "\t"
    path = folder / name
    path.write_text("\n".join(separator.join(row) for row in [columns, *rows]) + "\n")
    for row in rows:
        for cell in row:
            if ".nii" in cell and "none" not in cell:
                (folder / cell).parent.mkdir(parents=True, exist_ok=True)
                (folder / cell).touch()
    return path


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


ROWS = [
    ("a", "scans/a.nii.gz", "train", "masks/a.nii.gz", "T1w"),
    ("b", "scans/b.nii.gz", "val", "", "t1W"),
    ("c", "scans/c.nii.gz", "test", "", ""),
    ("b", "scans/b2.nii.gz", "val", "", "FLAIR"),
]


@pytest.mark.parametrize("name", ["scans.tsv", "scans.csv"])
def test_a_table_gives_the_scans_of_one_sequence(tmp_path, name):
    assert read_data(table(tmp_path, ROWS, name), "T1w") == [
        Entry(tmp_path / "scans/a.nii.gz", tmp_path / "masks/a.nii.gz", "train", "a"),
        Entry(tmp_path / "scans/b.nii.gz", None, "val", "b"),
        Entry(tmp_path / "scans/c.nii.gz", None, "test", "c"),
    ]


def test_path_and_split_suffice(tmp_path):
    rows = [("train", "a.nii"), ("val", "b.nii")]
    entries = read_data(table(tmp_path, rows, columns=("split", "path")), "FLAIR")
    assert [(entry.subject, entry.split) for entry in entries] == [("a.nii", "train"), ("b.nii", "val")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, ("a", "scans/a2.nii.gz", "val", "", "T1w")], "subject a is in two splits"),
        ([*ROWS, ("d", "none.nii.gz", "train", "", "T1w")], "line 6: no such file .*none.nii.gz"),
        ([*ROWS, ("d", "d.nii.gz", "train", "none_mask.nii.gz", "T1w")], "line 6: no such file .*none_mask.nii.gz"),
        ([*ROWS, ("d", "d.nii.gz", "training", "", "T1w")], "line 6: split is 'training', not one of train, val, test"),
        ([*ROWS, ("d", "", "train", "", "T1w")], "line 6: no such file"),
        ([*ROWS, ("d",)], "line 6"),
        (ROWS[1:], "no T1w scan in split 'train'"),
        (ROWS[::2], "no T1w scan in split 'val'"),
        ([], "lists no scan"),
        ([("a", "a.nii", "train", "", "FLAIR")], "no T1w scan"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path, rows, message):
    path = table(tmp_path, rows)
    with pytest.raises(InputError, match=message) as caught:
        read_data(path, "T1w")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_row_that_ends_before_its_path_is_one_line(tmp_path):
    path = table(tmp_path, [("train", "a.nii"), ("val",)], columns=("split", "path"))
    with pytest.raises(InputError, match="line 3: no such file"):
        read_data(path, "T1w")


def test_a_table_without_its_columns_and_nothing_at_all(tmp_path):
    with pytest.raises(InputError, match="columns path and split"):
        read_data(table(tmp_path, [("a.nii", "train")], columns=("file", "split")), "T1w")
    with pytest.raises(InputError, match="column path is needed"):
        read_data(table(tmp_path, [("a.nii", "train")], columns=("file", "split")), "T1w", whole=True)
    with pytest.raises(InputError, match="no such table or folder"):
        read_data(tmp_path / "none.tsv", "T1w")


def test_a_bids_tree_with_named_splits(tmp_path):
    touch(
        tmp_path,
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii",
        "sub-03/anat/sub-03_T1w.nii.gz",
        "derivatives/tool/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "derivatives/tool/sub-03/anat/sub-03_T1w.nii.gz",
    )
    (tmp_path / "participants.tsv").write_text("participant_id\tsplit\nsub-01\ttrain\nsub-02\tval\nsub-03\ttest\n")
    mask = tmp_path / "derivatives/tool/sub-01/anat/sub-01_desc-brain_mask.nii.gz"
    assert read_data(tmp_path, "T1w") == [
        Entry(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", mask, "train", "01"),
        Entry(tmp_path / "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii", None, "val", "02"),
        Entry(tmp_path / "sub-03/anat/sub-03_T1w.nii.gz", None, "test", "03"),
    ]


def test_a_session_never_takes_the_mask_of_one_whose_name_starts_the_same(tmp_path):
    touch(
        tmp_path,
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-10/anat/sub-01_ses-10_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "derivatives/tool/sub-01/ses-10/anat/sub-01_ses-10_desc-brain_mask.nii.gz",
    )
    masks = {entry.path.name: entry.brain_mask for entry in read_data(tmp_path, "T1w")}
    assert masks["sub-01_ses-1_T1w.nii.gz"] is None
    assert masks["sub-01_ses-10_T1w.nii.gz"].name == "sub-01_ses-10_desc-brain_mask.nii.gz"


def test_splits_that_are_drawn_are_by_subject_and_stay(tmp_path):
    for number in range(40):
        touch(tmp_path, f"sub-{number:02}/ses-1/anat/sub-{number:02}_ses-1_T1w.nii.gz")
        touch(tmp_path, f"sub-{number:02}/ses-2/anat/sub-{number:02}_ses-2_T1w.nii.gz")
    entries = read_data(tmp_path, "T1w")
    validating = {entry.subject for entry in entries if entry.split == "val"}
    assert len(validating) == 4
    assert validating.isdisjoint(entry.subject for entry in entries if entry.split == "train")
    assert read_data(tmp_path, "T1w") == entries


def test_calibration_may_do_with_one_split(tmp_path):
    path = table(tmp_path, [("test", "a.nii")], columns=("split", "path"))
    assert [entry.split for entry in read_data(path, "T1w", needed=())] == ["test"]


def test_a_tree_without_the_sequence_is_one_line(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    with pytest.raises(InputError, match="no FLAIR scan"):
        read_data(tmp_path, "FLAIR")


# --- lesions and pairs ---------------------------------------------------------------------------------------


def test_a_table_names_lesion_maps_and_may_list_a_scan_twice(tmp_path):
    rows = [
        ("a", "a.nii.gz", "train", "one.nii.gz", "les.nii.gz"),
        ("a", "a.nii.gz", "train", "two.nii.gz", "les.nii.gz"),
        ("b", "b.nii.gz", "val", "", ""),
    ]
    columns = ("participant_id", "path", "split", "brain_mask", "lesion")
    first, second, third = read_data(table(tmp_path, rows, columns=columns), "T1w")
    assert first == Entry(tmp_path / "a.nii.gz", tmp_path / "one.nii.gz", "train", "a", tmp_path / "les.nii.gz")
    assert second == replace(first, brain_mask=tmp_path / "two.nii.gz")
    assert third.lesion is None
    missing = table(tmp_path, [(*rows[0][:4], "none.nii.gz"), *rows[1:]], "other.tsv", columns)
    with pytest.raises(InputError, match=r"line 2: no such file .*none.nii.gz"):
        read_data(missing, "T1w")


PAIRS = [
    ("a", "a_FLAIR.nii.gz", "train", "1"),
    ("a", "a_T1w.nii.gz", "train", "1"),
    ("a", "a2_FLAIR.nii.gz", "train", "2"),
    ("a", "a2_T1w.nii.gz", "train", "2"),
    ("b", "b_T1w.nii.gz", "val", "1"),
    ("b", "b_FLAIR.nii.gz", "val", "1"),
    ("c", "c_FLAIR.nii.gz", "val", "1"),
    ("d", "d_T1w.nii.gz", "val", "1"),
]
COLUMNS = ("participant_id", "path", "split", "session")


def test_pairs_are_of_one_subject_and_session(tmp_path):
    entries = read_data(table(tmp_path, PAIRS, columns=COLUMNS), "FLAIR", target="T1w")
    named = {entry.path.name: entry.target and entry.target.name for entry in entries}
    assert named == {
        "a_FLAIR.nii.gz": "a_T1w.nii.gz",
        "a2_FLAIR.nii.gz": "a2_T1w.nii.gz",
        "b_FLAIR.nii.gz": "b_T1w.nii.gz",
        "c_FLAIR.nii.gz": None,
    }
    turned = read_data(table(tmp_path, PAIRS, columns=COLUMNS), "T1w", target="FLAIR")
    assert {entry.path.name for entry in turned} == {name for _, name, *_ in PAIRS if "T1w" in name}


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([row for row in PAIRS if row[:2] != ("b", "b_T1w.nii.gz")], COLUMNS, "no FLAIR scan with a T1w scan .* 'val'"),
        ([row[1:3] for row in PAIRS], ("path", "split"), "a column participant_id is needed"),
        ([row[:3] for row in PAIRS], COLUMNS[:3], "line 5: a second T1w scan of its subject"),
    ],
)
def test_pairs_that_cannot_be_told_are_one_line(tmp_path, rows, columns, message):
    with pytest.raises(InputError, match=message) as caught:
        read_data(table(tmp_path, rows, columns=columns), "FLAIR", target="T1w")
    assert "\n" not in str(caught.value)


# --- a data set's folder -------------------------------------------------------------------------------------


def test_any_data_set_with_its_lesions_masks_splits_and_pairs(tmp_path):
    touch(tmp_path, *[f"{case}_{what}.nii.gz" for case in "abc" for what in ("FLAIR", "brain")])
    touch(tmp_path, "a_lesion.nii.gz", "a_T1w.nii.gz", "b_T1w.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tsplit\na\ttrain\nb\tval\nc\ttest\n")
    entries = read_data(tmp_path, "FLAIR", target="T1w")
    assert entries[0] == Entry(
        *(tmp_path / f"a_{what}.nii.gz" for what in ("FLAIR", "brain")),
        "train",
        "a",
        *(tmp_path / f"a_{what}.nii.gz" for what in ("lesion", "T1w")),
    )
    assert [(entry.subject, entry.split, entry.target is None) for entry in entries[1:]] == [
        ("b", "val", False),
        ("c", "test", True),
    ]
    assert all(entry.target is None for entry in read_data(tmp_path, "FLAIR"))


def test_patients_of_whom_no_lesion_map_tells_the_healthy_part_are_left_out(tmp_path):
    touch(tmp_path, *[f"{case}_FLAIR.nii.gz" for case in "abcd"], "d_lesion.nii.gz")
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tsplit\thealthy\na\ttrain\tyes\nb\tval\t\nc\ttrain\tno\nd\ttrain\tno\n"
    )
    told = []
    assert [entry.subject for entry in read_data(tmp_path, "FLAIR", note=told.append)] == ["a", "b", "d"]
    assert told == ["1 of 4 scans are left out: they are of patients without a lesion map"]


def test_a_table_of_cases_is_read_like_a_data_set(tmp_path):
    rows = [("a", "a_f.nii.gz", "a_t.nii.gz", "train"), ("b", "b_f.nii.gz", "", "val")]
    path = table(tmp_path, rows, columns=("participant_id", "FLAIR", "T1w", "split"))
    assert read_data(path, "FLAIR", target=None) == [
        Entry(tmp_path / "a_f.nii.gz", None, "train", "a"),
        Entry(tmp_path / "b_f.nii.gz", None, "val", "b"),
    ]
    with pytest.raises(InputError, match="no FLAIR scan with a T1w scan of its subject in split 'val'"):
        read_data(path, "FLAIR", target="T1w")


def test_bids_names_say_whose_a_scan_is(tmp_path):
    """Two sessions are one person; two files of one name in two folders are two."""
    names = ("sub-01_ses-1_T1w.nii.gz", "sub-01_ses-2_T1w.nii.gz", "x/T1w.nii.gz", "y/T1w.nii.gz", "sub-02/T1w.nii.gz")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = [(name, "train" if at else "val") for at, name in enumerate(names)]
    with pytest.raises(InputError, match="subject sub-01 is in two splits"):
        read_data(table(tmp_path, rows, columns=("path", "split")), "T1w")
    rows[0] = (names[0], "train")
    rows[-1] = (names[-1], "val")
    entries = read_data(table(tmp_path, rows, columns=("path", "split")), "T1w")
    assert [entry.subject for entry in entries] == ["sub-01", "sub-01", "x/T1w.nii.gz", "y/T1w.nii.gz", "sub-02"]


def test_calibration_takes_every_scan_of_a_table_without_splits(tmp_path):
    def splits(rows, columns, **how):
        return [entry.split for entry in read_data(table(tmp_path, rows, columns=columns), "T1w", needed=(), **how)]

    bare = [("a.nii",), ("b.nii",), ("c.nii",)]
    assert splits(bare, ("path",), whole=True) == ["val"] * 3
    with pytest.raises(InputError, match="path and split"):
        splits(bare, ("path",))
    assert splits([("a.nii", "train"), ("b.nii", "")], ("path", "split"), whole=True) == ["train", "val"]


def test_a_scan_listed_with_several_masks_counts_once():
    listed = [("a", "close", "val"), ("a", "wide", "val"), ("b", "close", "val"), ("c", "close", "train")]
    entries = [Entry(Path(scan), Path(mask), split, scan) for scan, mask, split in listed]
    assert one_per_scan(entries, "val") == [entries[0], entries[2]]
