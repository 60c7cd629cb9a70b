"""A table of cases: a row a case or a row an image, paths beside it, and one line for what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.errors import InputError
from itermask.io.datasets import Case, read_dataset
from itermask.io.datasets.about import read_rows


def write(folder, text, name="cases.tsv"):
    """A table from lines with `|` between cells, and the files it names (but those with `none` in their name)."""
    separator = "," if name.endswith(".csv") else "\t"
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    for cell in (cell for line in lines for cell in line if ".nii" in cell and "none" not in cell):
        (folder / cell).parent.mkdir(parents=True, exist_ok=True)
        (folder / cell).touch()
    path = folder / name
    path.write_text("\n".join(separator.join(line) for line in lines) + "\n")
    return path


WIDE = """
    participant_id | t1w      | FLAIR    | lesion   | brain_mask | split | healthy | Site | session
    b              | b/1.nii  |          | b/l.nii  | b/m.nii    | test  |         | X    | 2
    a              | a/1.nii  | a/2.nii  |          |            | train | yes     |      |
    c              |          | c/2.nii  | c/l.nii  |            |       | yes     | n/a  |
"""


@pytest.mark.parametrize("name", ["cases.tsv", "cases.csv"])
def test_a_row_a_case(tmp_path, name):
    cases = read_dataset(write(tmp_path, WIDE, name))
    b = tmp_path / "b"
    assert cases == [
        Case("a", "", {"FLAIR": tmp_path / "a/2.nii", "T1w": tmp_path / "a/1.nii"}, healthy=True, split="train"),
        Case("b", "2", {"T1w": b / "1.nii"}, b / "l.nii", b / "m.nii", {"site": "X"}, False, "test"),
        Case("c", "", {"FLAIR": tmp_path / "c/2.nii"}, tmp_path / "c/l.nii", healthy=True),
    ]


def test_a_row_an_image(tmp_path):
    table = write(
        tmp_path,
        """
        participant_id | path          | sequence | lesion  | split | scanner
        a              | a_x.nii.gz    | t1W      | l.nii   | val   | Trio
        a              | a_FLAIR.nii   |          | l.nii   | val   | Trio
        b              | b_adc.nii     | adc      |         | test  | Prisma
        """,
    )
    first, second = read_dataset(table)
    assert first.paths == {"T1w": tmp_path / "a_x.nii.gz", "FLAIR": tmp_path / "a_FLAIR.nii"}
    assert (first.lesion, first.split, first.group) == (tmp_path / "l.nii", "val", {"scanner": "Trio"})
    assert (set(second.paths), second.healthy) == ({"ADC"}, None)


def test_a_training_table_is_read_too(tmp_path):
    table = write(tmp_path, "path | split | brain_mask\n a_T1w.nii.gz | train | m.nii.gz\n b_T1w.nii | val |")
    first, second = read_dataset(table, "table")
    assert (first.subject, first.split, first.brain_mask) == ("a_T1w.nii.gz", "train", tmp_path / "m.nii.gz")
    assert (second.subject, second.brain_mask) == ("b_T1w.nii", None)


def test_absolute_paths_and_tables_of_other_programs(tmp_path):
    image = tmp_path / "elsewhere" / "a.nii.gz"
    image.parent.mkdir()
    image.touch()
    table = tmp_path / "table" / "cases.csv"
    table.parent.mkdir()
    table.write_bytes(f"\ufeffparticipant_id,T1w,\r\n a ,{image},,\r\n\r\n\r\n".encode())
    assert read_dataset(table) == [Case("a", "", {"T1w": image})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no case in it; looked for"),
        ("participant_id | age\n a | 3", "no case in it; looked for"),
        ("T1w | age\n a.nii | 3", "no case in it; looked for"),
        ("participant_id | T1w\n a |", "no row names an image"),
        ("participant_id | T1w\n a | none.nii", "line 2: no such file .*none.nii"),
        ("participant_id | T1w | lesion\n a | a.nii | none.nii", "line 2: no such file .*none.nii"),
        ("participant_id | T1w\n a | a.nii\n a | b.nii", "two files are the T1w of a: .*keep one"),
        ("participant_id | T1w | session\n a | a.nii | 1\n a | b.nii | 1", "the T1w of a, session 1"),
        ("participant_id | path\n a | scan.nii", "line 2: which sequence is scan.nii"),
        ("participant_id | path\n | ", "line 2: neither participant_id nor path"),
        ("participant_id | T1w | split\n a | a.nii | training", "line 2: split is 'training'"),
        ("participant_id | T1w | healthy\n a | a.nii | perhaps", "line 2: healthy is 'perhaps'"),
        (
            "participant_id | T1w | split | session\n a | a.nii | train | 1\n a | b.nii | test | 2",
            "line 3: subject a is in two splits",
        ),
        (
            "participant_id | path | healthy\n a | a_T1w.nii | yes\n a | a_FLAIR.nii | no",
            "line 3: split or healthy differs",
        ),
        ("participant_id | T1w | T1w\n a | a.nii | b.nii", "column T1w appears twice"),
        ("participant_id | T1w | t1w\n a | a.nii | b.nii", "columns T1w and t1w are both T1w"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path, text, message):
    table = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_dataset(table)
    assert str(caught.value).startswith(str(table))
    assert "\n" not in str(caught.value)


def test_no_table(tmp_path):
    with pytest.raises(InputError, match="not a table; looked for"):
        read_dataset(tmp_path / "none.tsv", "table")


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters='"\ufeff')
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_cells_come_back_as_they_were_written(tmp_path_factory, rows):
    table = tmp_path_factory.getbasetemp() / "cells.tsv"
    table.write_text("\n".join(["one\ttwo", *("\t".join(row) for row in rows)]), encoding="utf-8")
    assert read_rows(table) == [{"one": one, "two": two} for one, two in rows]
