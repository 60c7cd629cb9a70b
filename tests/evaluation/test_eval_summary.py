"""Means, intervals and groups over scans, and how they are written down."""

import sys

import numpy as np
import pytest

from itermask.evaluation.metrics.intervals import auroc_interval, bootstrap_interval
from itermask.evaluation.metrics.ranking import scan_detection
from itermask.evaluation.summary import (
    markdown,
    summarise,
    summarise_detection,
    summarise_groups,
    summarise_lesions,
    summarise_sizes,
)

NAN = float("nan")
ROWS = [
    {"label_ml": 0.0, "dice": 1.0, "score": 0.1, "predicted_ml": 0.0},
    {"label_ml": 0.5, "dice": 0.2, "score": 0.3, "predicted_ml": 1.0},
    {"label_ml": 5.0, "dice": NAN, "score": 0.9, "predicted_ml": 2.0, "psnr_db": float("inf")},
    {"label_ml": 50.0, "dice": 0.6, "score": 0.8, "predicted_ml": 3.0, "psnr_db": 20.0},
]


def test_a_metric_is_summarised_over_the_scans_that_have_it():
    found = summarise(ROWS, ["dice", "psnr_db", "label_ml", "other"], seed=4)
    expected = bootstrap_interval([1.0, 0.2, 0.6], np.random.default_rng(4))
    assert found["dice"] == pytest.approx(
        {"mean": 0.6, "std": np.std([1.0, 0.2, 0.6], ddof=1), "low": expected.low, "high": expected.high, "defined": 3}
    )
    alone = {"mean": 20, "std": NAN, "low": 20, "high": 20, "defined": 1}
    assert found["psnr_db"] == pytest.approx(alone, nan_ok=True)
    assert found["label_ml"]["defined"] == 4
    nothing = {"mean": NAN, "std": NAN, "low": NAN, "high": NAN, "defined": 0}
    assert found["other"] == pytest.approx(nothing, nan_ok=True)
    assert summarise(ROWS, ["dice"], seed=4) == {"dice": found["dice"]}
    assert summarise([], ["dice"])["dice"]["defined"] == 0


def test_the_seed_decides_the_interval_and_nothing_else():
    rows = [{"dice": float(value)} for value in np.random.default_rng(0).random(30)]
    one, again, other = (summarise(rows, ["dice"], seed)["dice"] for seed in (1, 1, 2))
    assert one == again
    assert one["low"] != other["low"]
    assert (one["mean"], one["std"]) == (other["mean"], other["std"])


def test_groups_are_summarised_apart():
    found = summarise_groups(ROWS, ["b", "a", "b", "a"], ["label_ml", "dice"])
    assert list(found) == ["b", "a"]
    assert found["a"] == {"scans": 2, "metrics": summarise([ROWS[1], ROWS[3]], ["label_ml", "dice"])}
    assert found["b"]["metrics"]["dice"]["defined"] == 1


def test_scans_are_grouped_by_their_lesion_volume():
    found = summarise_sizes(ROWS[::-1], ["dice"], [1, 10])
    assert {name: group["scans"] for name, group in found.items()} == {
        "no lesion": 1,
        "<1 mL": 1,
        "1–10 mL": 1,
        "≥10 mL": 1,
    }
    assert next(iter(found)) == "no lesion"
    assert list(summarise_sizes(ROWS[:2], ["dice"], [1, 10])) == ["no lesion", "<1 mL"]


def test_lesions_are_grouped_by_their_own_volume():
    found = summarise_lesions(np.array([0.1, 0.2, 20.0]), np.array([True, False, True]), [1, 10])
    assert found["<1 mL"] == {"lesions": 2, "detected": 1, "rate": 0.5}
    assert found["≥10 mL"] == {"lesions": 1, "detected": 1, "rate": 1.0}
    assert found["1–10 mL"] == pytest.approx({"lesions": 0, "detected": 0, "rate": NAN}, nan_ok=True)


def test_scores_tell_scans_with_a_lesion_from_those_without():
    rows = [*ROWS, ROWS[0] | {"score": 0.4, "predicted_ml": 0.5}]
    found = summarise_detection(rows, seed=2)
    assert set(found) == {"score", "predicted_ml"}
    healthy, anomalous = [0.1, 0.4], [0.3, 0.9, 0.8]
    _, low, high = auroc_interval(healthy, anomalous, np.random.default_rng(2))
    expected = scan_detection(healthy, anomalous) | {"low": low, "high": high, "healthy": 2, "anomalous": 3}
    assert found["score"] == pytest.approx(expected)
    assert found["predicted_ml"]["auroc"] == 1


def test_scores_that_tell_nothing_are_left_out(monkeypatch):
    assert summarise_detection(ROWS[1:]) == {}
    assert summarise_detection(ROWS[:1]) == {}
    assert set(summarise_detection([*ROWS, {"label_ml": 0.0, "score": NAN, "predicted_ml": 1.0}])) == {"predicted_ml"}
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert summarise_detection(ROWS) == {}


def summary_of(rows, **more):
    metrics = ["label_ml", "dice"]
    return {
        "scans": len(rows),
        "subjects": len(rows),
        "failed": [],
        "predictions_without_label": [],
        "labels_without_prediction": [],
        "seed": 0,
        "metrics": summarise(rows, metrics),
    } | more


def test_the_page_has_all_tables_and_every_name():
    page = markdown(
        summary_of(
            ROWS,
            failed=[["sub|1", "two\nlines"]],
            predictions_without_label=[["sub-2", "no label has its name"]],
            labels_without_prediction=["sub-3"],
            shared_threshold=0.25,
            groups=summarise_groups(ROWS, ["a|b", "a|b", "", ""], ["dice"]),
            sizes=summarise_sizes(ROWS, ["dice"], [1, 10]),
            lesions=summarise_lesions(np.array([0.1]), np.array([True]), [1]),
            detection=summarise_detection(ROWS),
        )
    )
    assert "4 scans of 4 subjects evaluated, 1 failed, 1 predictions without a label, 1 files among the labels" in page
    assert "| dice | 0.6 | 0.4 |" in page
    assert "| a\\|b | 2 | dice | 0.6 | 0.5657 |" in page
    assert "| none | 2 | dice | 0.6 | n/a |" in page
    assert "| <1 mL | 1 | 1 | 1 |" in page
    assert "* sub\\|1: two lines\n" in page
    assert "* sub-2: no label has its name\n" in page
    assert "* sub-3\n" in page
    assert "threshold is 0.25" in page
    assert "| score | 1 (1–1) | 1 | 0 | 0 | 1 | 1 | 3 |" in page
    for table in page.split("\n\n"):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1, table


def test_a_small_page():
    page = markdown(summary_of(ROWS[1:2]))
    assert "##" not in page
    assert "nan" not in page.lower()
