"""Whatever is damaged is refused in one line, or read as it was: no traceback, no changed file, no silent difference.

The same as `benchmarks/damaged_inputs.py` in small: a fixed number of examples, on a head and a series that are made.
"""

import json
import os
import time

import damaged_inputs
import numpy as np
import pytest
from damage_parts import series, texts, volumes
from damage_parts.common import Kind, Seen
from damaged_inputs import FINE, attempt
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tiny_dicom import slices
from tiny_model import affine_of, tiny_head

EXAMPLES = 12  # of each kind
SHAPE, SPACING = (40, 40, 30), (5.0, 5.0, 5.0)


def small_kinds():
    image, brain = tiny_head(SHAPE, SPACING)
    affine = affine_of(SPACING)
    head = np.clip(image / image.max() * 200, 0, 255).astype(np.uint8)
    made = slices(head.astype(np.int16)[:, :, 8:18], affine, RescaleSlope=1, RescaleIntercept=0, PatientAge="034Y")
    return {kind.name: kind for kind in (*volumes.kinds(head, brain, affine), *series.kinds(made), *texts.kinds())}


KINDS = small_kinds()
TRUTHS: dict[str, Seen] = {}


@pytest.mark.parametrize("name", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=EXAMPLES, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_damage_is_refused_or_without_effect(name, seed):
    kind = KINDS[name]
    if name not in TRUTHS:
        TRUTHS[name] = damaged_inputs._truth(kind)
    case = attempt(kind, TRUTHS[name], (seed, 0))
    assert case["result"] in FINE, case


OPTIONS = ["--threads", "--gamma", "--sensitivity", "--seed", "--device", "--series", "--sequence", "--brain-mask"]
VALUES = [
    "",
    "-1",
    "0",
    "nan",
    "inf",
    "1e999",
    "100000000000000000000",
    "x" * 5000,
    "ü\u202e",
    "--",
    "/",
    "..",
    "[",
    "{}",
]


@given(st.lists(st.tuples(st.sampled_from(OPTIONS), st.one_of(st.sampled_from(VALUES), st.text(max_size=20)))))
@settings(max_examples=30, deadline=None)
def test_no_option_gives_a_traceback(tmp_path_factory, options):
    folder = tmp_path_factory.mktemp("options")
    words = [word for name, value in options for word in (name, value.replace("\0", "0"))]
    code, output, errors = called("run", folder / "none.nii.gz", folder / "out", *words, "--model", folder)
    assert code == 2
    assert "Traceback" not in output + errors
    assert list(folder.iterdir()) == []


def called(*arguments):
    """Exit code, standard output and standard error of the command, in this process."""
    kind = Kind("options", None, None, None, lambda _: list(map(str, arguments)))
    return damaged_inputs.command(kind.arguments(None))


def test_the_campaign_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(volumes, "load", lambda data: ())
    monkeypatch.setattr(volumes, "kinds", lambda: [])
    monkeypatch.setattr(series, "load", lambda data: ())
    monkeypatch.setattr(series, "kinds", lambda slices: [])
    first = damaged_inputs.run(tmp_path, tmp_path / "out", 6, 3)
    lines = (tmp_path / "out" / "cases.jsonl").read_text().splitlines()
    (tmp_path / "out" / "cases.jsonl").write_text("\n".join(lines[:3]) + '\n{"n": 3, "see')
    again = damaged_inputs.run(tmp_path, tmp_path / "out", 6, 3)
    added = (tmp_path / "out" / "cases.jsonl").read_text().splitlines()[4:]
    assert [json.loads(line)["n"] for line in added] == [3, 4, 5]
    kept = ("n", "seed", "kind", "how", "result")
    assert [[case[key] for key in kept] for case in again] == [[case[key] for key in kept] for case in first]
    assert json.loads(lines[0])["n"] == 0


def test_what_must_not_be_is_seen(tmp_path):
    """A reader that fails, changes its input, or does not notice is told from one that does its work."""

    def make(folder):
        (folder / "file").write_text("whole")

    def corrupted(folder, rng):
        (folder / "file").write_text("spoiled")
        return "spoiled"

    def scan(value):
        return Seen({"scan": (np.full((2, 2, 2), value), np.eye(4), None)})

    def fails(folder):
        raise KeyError("x")

    def changes(folder):
        (folder / "file").write_text("mine")
        return scan(1)

    truth = scan(1)
    results = [
        attempt(Kind("test", make, corrupted, read_input), truth, (0, 0))["result"]
        for read_input in (fails, changes, lambda folder: scan(2), lambda folder: scan(1))
    ]
    assert results == ["traceback", "changed", "verdict", "right"]


def test_a_process_that_hangs_or_dies_costs_one_input(tmp_path, monkeypatch):
    def attempt(kind, truth, seed, kept):
        if seed[1] == 1:
            os._exit(3)
        time.sleep(30 if seed[1] == 2 else 0)
        return {"how": "", "result": "right", "message": ""}

    kind = Kind("test", lambda folder: None, None, lambda folder: Seen())
    monkeypatch.setattr(damaged_inputs, "attempt", attempt)
    monkeypatch.setattr(damaged_inputs, "PATIENCE", 1)
    monkeypatch.setattr(damaged_inputs, "GRACE", 1)
    results = [found["result"] for _, found in damaged_inputs._tried([kind], [0, 1, 2, 3], 0, tmp_path)]
    assert results == ["right", "traceback", "hang", "right"]
