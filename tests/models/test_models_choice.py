"""Which bundled model a scan gets: by sequence, then by whether it is a few slices or a whole brain; and why."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_card
from tiny_model import affine_of

from itermask.errors import InputError
from itermask.models import choice
from itermask.models.choice import choose_model, find, takes_slices
from itermask.types import Scan

THICK, FINE = ((1, 1, 5), (200, 200, 24)), ((1, 1, 1.2), (200, 200, 160))
FEW, ONE = ((1, 1, 5), (200, 200, 3)), ((1, 1, 1), (200, 200, 1))


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A made-up set of bundled models; gives a function that adds one."""
    monkeypatch.setattr(choice, "BUNDLED", tmp_path)

    def add(name, sequence, slices):
        grid = {"spacing": [4.0, 4.0, 0.0], "box": [16, 16, 1]} if slices else {}
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(tiny_card(sequence=sequence, **grid)))

    return add


def taken(*arguments):
    found = choose_model(*arguments)
    return found.folder.name, found.why


def test_few_slices_get_the_model_for_slices(bundled):
    bundled("flair-2d", "FLAIR", True)
    bundled("flair-1mm", "FLAIR", False)
    bundled("t1w-2mm", "T1w", False)
    assert taken("FLAIR", *FEW) == ("flair-2d", "3 slices: the bundled model for FLAIR slices")
    assert taken("FLAIR", *ONE) == ("flair-2d", "a single slice: the bundled model for FLAIR slices")
    assert taken("FLAIR", *FINE) == taken("FLAIR", *THICK) == ("flair-1mm", "the bundled model for FLAIR volumes")
    assert taken("T1w", *FINE) == ("t1w-2mm", "the bundled model for T1w volumes")


def test_the_other_kind_is_better_than_none_and_it_is_said(bundled):
    bundled("flair-2d", "FLAIR", True)
    bundled("t1w-2mm", "T1w", False)
    assert taken("FLAIR", *FINE) == ("flair-2d", "the bundled model for FLAIR slices; there is none for volumes")
    assert taken("T1w", *FEW) == ("t1w-2mm", "3 slices: the bundled model for T1w volumes; there is none for slices")
    assert taken("FLAIR") == ("flair-2d", "the bundled model for FLAIR slices")


def test_of_several_the_preferred_one_is_taken(bundled):
    for name in ("a-flair", "flair-2d", "b-flair"):
        bundled(name, "FLAIR", True)
    assert taken("FLAIR", *THICK)[0] == "flair-2d"
    for name in ("b-t2", "a-t2"):
        bundled(name, "T2w", False)
    assert taken("T2w")[0] == "a-t2"


def test_a_sequence_without_a_model_is_one_line(bundled):
    bundled("flair-2d", "FLAIR", True)
    bundled("t1w-2mm", "T1w", False)
    with pytest.raises(InputError, match="no bundled model for sequence PDw; bundled are FLAIR, T1w; give one"):
        choose_model("PDw", *THICK)


def test_a_model_by_name_needs_no_reason(bundled, tmp_path):
    bundled("flair-2d", "FLAIR", True)
    assert find("flair-2d") == choice.Choice(tmp_path / "flair-2d")
    scan = Scan(np.zeros((8, 8, 3)), affine_of((4.0, 4.0, 6.0)), "FLAIR")
    assert find(None, "FLAIR", scan).why.startswith("3 slices: ")
    thick = replace(scan, affine=affine_of((4.0, 4.0, 8.0)))
    assert find(None, "FLAIR", thick).why.endswith("there is none for volumes")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"spacing": [4.0, 0.0, 4.0]}, "must be positive, but for a third spacing of 0"),
        ({"spacing": [4.0, 4.0, -1.0]}, "three positive numbers"),
        ({"spacing": [4.0, 4.0, 0.0], "box": [16, 18, 1]}, "multiples of 'divisor'"),
        ({"spacing": [4.0, 4.0, 0.0], "box": [16, 16, 0]}, "must be positive"),
        ({"spacing": [4.0, 4.0], "box": [16, 16]}, "three positive numbers"),
        ({"box": [16, 16, 1]}, "multiples of 'divisor'"),
    ],
)
def test_a_card_with_a_grid_that_is_none_is_refused(tmp_path, grid, message):
    (tmp_path / "card.json").write_text(json.dumps(tiny_card(**grid)))
    with pytest.raises(InputError, match=message):
        choice.read_card(tmp_path)


def test_a_card_says_whether_it_is_for_slices():
    assert takes_slices(tiny_card(spacing=[4.0, 4.0, 0]))
    assert not takes_slices(tiny_card())


@pytest.mark.parametrize("sequence", ["T1w", "T2w", "FLAIR"])
def test_one_bundled_model_takes_every_sequence(sequence):
    assert taken(sequence, *FINE)[0] == taken(sequence, *THICK)[0] == "any-2mm"


def test_single_slices_of_flair_have_a_bundled_model():
    assert taken("FLAIR", *ONE)[0] == "flair-2d"
    assert taken("T2w", *ONE)[1] == "a single slice: the bundled model for T2w volumes; there is none for slices"
