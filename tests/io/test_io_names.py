"""What file names and sidecars say about a scan's sequence."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.errors import InputError
from itermask.io.names import SEQUENCES, canonical_sequence, sequence_of, stem

ENTITIES = st.lists(st.from_regex(r"(sub|ses|acq|run)-[a-z0-9]{1,6}", fullmatch=True), max_size=4)
ENDINGS = st.sampled_from([".nii", ".nii.gz", ".NII.GZ"])


def sidecar(folder, fields, name="scan01.nii.gz"):
    path = folder / name
    path.with_name(stem(path) + ".json").write_text(fields if isinstance(fields, str) else json.dumps(fields))
    return path


@given(ENTITIES, st.sampled_from(SEQUENCES), ENDINGS, st.sampled_from([str, str.lower, str.upper]))
def test_the_ending_of_a_bids_name_is_the_sequence_in_any_case(entities, sequence, ending, case):
    path = Path("nowhere", "_".join([*entities, case(sequence)]) + ending)
    assert sequence_of(path) == sequence
    assert canonical_sequence(f" {case(sequence)} ") == sequence


@given(ENTITIES, ENDINGS)
def test_a_name_without_a_sequence_says_nothing(entities, ending):
    assert sequence_of(Path("nowhere", "_".join([*entities, "scan"]) + ending)) is None


@pytest.mark.parametrize("name", ["T1w_brainmask.nii.gz", "sub-T1w_scan.nii", "notFLAIR.nii", "T1w.old.nii"])
def test_a_sequence_elsewhere_in_the_name_does_not_count(name):
    assert sequence_of(Path("nowhere", name)) is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.b.nii.gz", "a.b"),
        ("a.nii", "a"),
        ("A.NII.GZ", "A"),
        (".nii.gz", ""),
        ("a.gz", "a"),
        ("a.nii.nii.gz", "a.nii"),
    ],
)
def test_stem_takes_off_one_nifti_ending(name, wanted):
    assert stem(Path(name)) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"itermask_sequence": "t1w", "SuffixBIDS": "FLAIR"}, "T1w"),
        ({"SuffixBIDS": "FLAIR", "ProtocolName": "t1w"}, "FLAIR"),
        ({"ProtocolName": "Sag MPRAGE iso"}, "T1w"),
        ({"SeriesDescription": "t2_FLAIR_tra"}, "FLAIR"),
        ({"ProtocolName": "localizer", "SeriesDescription": "AX DWI b1000"}, "DWI"),
        ({"ProtocolName": "T1w and T2w"}, None),
        ({"ProtocolName": "mprage mapped to flair"}, None),
        ({"itermask_sequence": 3, "SuffixBIDS": None}, None),
        ({"itermask_sequence": "CISS"}, "CISS"),
        ({}, None),
        ([], None),
    ],
)
def test_sidecar(tmp_path, fields, wanted):
    assert sequence_of(sidecar(tmp_path, fields)) == wanted


def test_the_name_comes_before_the_sidecar(tmp_path):
    assert sequence_of(sidecar(tmp_path, {"SuffixBIDS": "FLAIR"}, "sub-1_T1w.nii.gz")) == "T1w"


@pytest.mark.parametrize("text", ["{", "", "{'a': 1}"])
def test_a_broken_sidecar_is_named_in_one_line(tmp_path, text):
    with pytest.raises(InputError, match=r"^\S*scan01\.json: .+$"):
        sequence_of(sidecar(tmp_path, text))


def test_a_sidecar_that_is_no_text_is_named_in_one_line(tmp_path):
    (tmp_path / "scan01.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"^\S*scan01\.json: .+$"):
        sequence_of(tmp_path / "scan01.nii")


def test_a_name_that_no_file_can_have_has_no_sequence(tmp_path):
    assert sequence_of(tmp_path / ("9" * 400)) is None
