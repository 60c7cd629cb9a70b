"""The run of benchmarks/verdicts.py, made small: rows, going on, the table, and what a card and a report say of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import verdicts
from tiny_model import tiny_model, tiny_scan, write_nifti

import itermask
from itermask.results.report.text import trust
from itermask.types import NOT_JUDGED, VERDICTS

WITHIN, BORDERLINE, OUTSIDE = VERDICTS


def row(kind, verdict, name="", amount=0.0):
    return {"kind": kind, "name": name, "amount": str(amount), "verdict": verdict}


ROWS = [
    *(row("healthy", word) for word in (WITHIN, WITHIN, BORDERLINE, NOT_JUDGED)),
    *(row("artifact", word, name, 5.0) for name in ("motion", "spike") for word in (OUTSIDE, WITHIN)),
    *(row("lesion", OUTSIDE, kind, 3.0) for kind in ("dark", "bright")),
]


def test_rates_count_what_is_not_within():
    assert verdicts.rates(ROWS) == {
        "healthy": [2, 4],
        "lesions": {"3 mL": [2, 2]},
        "artifacts": {"severity 5": [2, 4]},
    }


def test_the_table_has_a_column_for_each_run():
    lines = verdicts.table({"before": ROWS[:6], "after": ROWS}).splitlines()
    assert "not within, before" in lines[0]
    assert lines[2:] == [
        "| healthy scans | 2 of 4 | 0 of 4 | 2 of 4 | 0 of 4 |",
        "| artifacts, severity 5 | 1 of 2 | 1 of 2 | 2 of 4 | 2 of 4 |",
        "| bright lesions of 3 mL | – | – | 1 of 1 | 1 of 1 |",
        "| dark lesions of 3 mL | – | – | 1 of 1 | 1 of 1 |",
    ]


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """Two heads, processed as they are, with one artifact and with lesions."""
    folder = tmp_path_factory.mktemp("verdicts")
    tiny_model(folder / "model")
    ball = np.linalg.norm(np.indices((9, 9, 9)) - 4, axis=0) < 4
    np.savez(folder / "shapes.npz", ball=ball)
    scans = [write_nifti(folder / f"sub-{seed}_T1w.nii.gz", tiny_scan(seed=seed)) for seed in (21, 22)]
    words = [folder / "model", folder / "out.tsv", *scans, "--shapes", folder / "shapes.npz"]
    words += ["--artifacts", "gaussian_noise", "--severities", "5", "--card"]
    verdicts.main(list(map(str, words)))
    return folder, list(map(str, words))


def test_every_scan_is_processed_as_it_is_corrupted_and_with_lesions(processed):
    rows = verdicts.read_rows(processed[0] / "out.tsv")
    for name in ("sub-21_T1w.nii.gz", "sub-22_T1w.nii.gz"):
        kinds = [one["kind"] for one in rows if one["scan"] == name]
        assert (kinds.count("healthy"), kinds.count("artifact")) == (1, 1)
        assert kinds.count("lesion") >= 6  # a head of 100 mL has no place for large ones
    assert all(one["verdict"] in (*VERDICTS, NOT_JUDGED) for one in rows)


def test_a_second_run_processes_nothing_again(processed, monkeypatch, capsys):
    folder, words = processed
    before = (folder / "out.tsv").read_bytes()
    tried = []

    def count(scan, model):
        tried.append(scan.name)
        raise ValueError("refused")

    monkeypatch.setattr(verdicts, "analyze", count)
    verdicts.main(words)
    assert (folder / "out.tsv").read_bytes() == before
    refused = capsys.readouterr().out.count(": refused")
    assert len(tried) == refused < 13  # only those that could not be made the first time


def test_the_card_and_the_report_say_what_was_measured(processed):
    folder, _ = processed
    measured = json.loads((folder / "model" / "card.json").read_text())["trust"]
    assert measured["healthy"][1] == 2
    assert measured["artifacts"] == {"severity 5": [pytest.approx(1, abs=1), 2]}
    finding = itermask.run(tiny_scan(seed=23), itermask.load_model(folder / "model"))
    noticed, tried = measured["lesions"]["1 mL"]
    assert f"1 mL: {noticed} of {tried}" in trust(finding)
    assert "of 2 healthy" not in trust(replace(finding, settings={}))
