"""The AUROC of benchmarks/mixed_cohort.py: whom it counts, whose turn it is, and what it is of a perfect order."""

import mixed_cohort
import pytest

from itermask.types import VERDICTS


def row(scan, artifact, extent, site="A"):
    verdict = VERDICTS[2 if extent > 2 else 1 if extent > 1 else 0]
    figures = {"verdict": verdict, "quality_extent": extent, "stands_out": extent, "site": site, "scores": {}}
    return {"scan": scan, "artifact": artifact, "figures": figures}


def test_sites_take_turns():
    turns = mixed_cohort.taking_turns({"A": ["1", "2", "3"], "B": ["4"]})
    assert turns == [("A", "1"), ("B", "4"), ("A", "2"), ("A", "3")]


@pytest.mark.parametrize(("clean", "wanted"), [((0.1, 0.2), 1.0), ((0.1, 9.0), 0.5), ((9.0, 9.5), 0.0)])
def test_auroc_is_the_share_of_pairs_in_the_right_order(clean, wanted):
    rows = [row("a", "", clean[0]), row("b", "", clean[1]), row("a", "noise", 3.0), row("b", "noise", 4.0)]
    assert mixed_cohort.auroc(rows, relative=False) == wanted


def test_one_scan_a_subject():
    rows = [row("a", "", 0.1), row("a", "noise", 3.0), row("b", "", 0.2)]
    assert [(one["scan"], one["artifact"]) for one in mixed_cohort.one_a_subject(rows)] == [("a", "noise"), ("b", "")]
