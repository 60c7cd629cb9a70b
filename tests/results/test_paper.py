"""The methods paragraph: it says what was used, of how many scans, and nothing that was not recorded."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.errors import InputError
from itermask.results.paper import Used, main, methods_text, read_finding

SETTINGS = {
    "model": "t1w-2mm", "method": "itermask3d", "brain_mask": "deepbet", "operating_point": {"gamma": 0.25}, "seed": 3,
    "bias_correction": "none", "alignment": "none",
}  # fmt: skip
VERSIONS = {"itermask": "0.2.0", "model": "2", "python": "3.12.1", "torch": "2.7.0"}


def test_one_scan_is_told_with_versions_settings_and_whom_to_cite():
    text = methods_text([Used(SETTINGS, VERSIONS)])
    for said in (
        "1 scan was processed with itermask 0.2.0", "the model t1w-2mm, version 2 (method itermask3d)",
        "Brain masks came from deepbet.", "gamma 0.25", "seed of the noise was 3", "Python 3.12.1, torch 2.7.0",
        "arXiv 2504.04911", "research use only",
    ):  # fmt: skip
        assert said in text
    assert "MNI" not in text
    assert "brightness" not in text


def test_what_differs_is_counted_and_what_is_not_recorded_is_said():
    other = Used(SETTINGS | {"alignment": "nilearn 0.10", "brain_mask": "given"}, {})
    text = methods_text([Used(SETTINGS, VERSIONS)] * 2 + [other])
    assert "itermask 0.2.0 (2 scans) and of a version that was not recorded (1 scan)" in text
    assert "deepbet (2 scans) and supplied files (1 scan)" in text
    assert "The model processed along MNI axes in 1 of 3 scans (nilearn 0.10)." in text


@given(st.permutations([Used(SETTINGS | {"seed": seed, "model": f"m{seed % 2}"}, VERSIONS) for seed in range(4)]))
def test_the_order_of_the_scans_does_not_matter(scans):
    assert methods_text(scans) == methods_text(sorted(scans, key=lambda one: one.settings["seed"]))


def test_no_scan_and_no_finding_are_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="no scan"):
        methods_text([])
    path = tmp_path / "finding.json"
    for content in ("", "[]", "{}"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"finding\.json"):
            read_finding(path)
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_it_runs_on_a_file_as_the_documents_say(tmp_path):
    path = tmp_path / "finding.json"
    path.write_text(json.dumps({"settings": SETTINGS, "versions": VERSIONS}))
    done = subprocess.run(
        [sys.executable, "-m", "itermask.results.paper", path], capture_output=True, text=True, check=True
    )
    assert done.stdout == methods_text([Used(SETTINGS, VERSIONS)])
