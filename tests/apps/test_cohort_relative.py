"""Scores relative to a cohort's own scanners: another scanner is no fault, and corrupted scans still lead the list."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from test_cohort_group import record

from itermask.apps.cohort.group import table
from itermask.apps.cohort.mosaic import pictures_of
from itermask.apps.cohort.page import outliers_first, render
from itermask.apps.cohort.relative import FEWEST, SCANNER, is_corrupt, parse_keys, relative_to_groups
from itermask.apps.cohort.rows import Row
from itermask.errors import InputError
from itermask.types import NOT_JUDGED, VERDICTS


def scan(name, extent, site="A", focal=0.5, verdict=None, **changes):
    verdict = verdict or VERDICTS[2 if extent > 2 else 1 if extent > 1 else 0]
    figures = {"quality_extent": extent, "stands_out": extent + focal / 10, "site": site, "manufacturer": "Maker"}
    return Row(record(name, 1.0, verdict, scores={"focal": focal}, **(figures | changes)), f"{name}.html")


def cohort(levels, site, seed=0):
    rng = np.random.default_rng(seed)
    return [scan(f"sub-{site}{n}_T1w", level + 0.1 * rng.standard_normal(), site) for n, level in enumerate(levels)]


def auroc(rows, corrupt):
    order = [row.record.name in corrupt for row in outliers_first(rows)]
    bad, good = np.flatnonzero(order), np.flatnonzero(~np.array(order))
    return float(np.mean(bad[:, None] < good[None, :]))


def test_corrupt_scans_of_two_scanners_lead_the_list():
    """One scanner's clean scans all lie beyond the borderline, further than the other's corrupted ones."""
    rows = [*cohort([0.3] * 6 + [1.6] * 3, "A"), *cohort([2.6] * 8 + [4.2] * 3, "B", 1)]
    limits = {"A": 1, "B": 3.5}
    corrupt = {
        row.record.name for row in rows if row.record.figures["quality_extent"] > limits[row.record.figures["site"]]
    }
    assert len(corrupt) == 6
    plain = auroc(rows, corrupt)
    placed, groups = relative_to_groups(rows)
    assert auroc(placed, corrupt) >= 0.95 > plain
    said = [group.sentence() for group in groups if group.sentence()]
    assert len(said) == 1
    assert "Maker B" in said[0]
    assert "another scanner" in said[0]
    page = render("T1w", placed, "", said)
    assert said[0].replace("'", "&#39;") in page


def test_a_corrupt_image_leads_regions_that_stand_out_and_scans_that_could_be_judged():
    sick = [scan(f"sub-s{n}_T1w", 0.4, focal=40.0, verdict=VERDICTS[2]) for n in range(6)]
    unclear = [scan(f"sub-u{n}_T1w", 1.4, "B", verdict=VERDICTS[1]) for n in range(2)]
    usual = cohort([0.3] * 6, "B", 2)
    corrupt = [scan("sub-x_T1w", 5.0, verdict=NOT_JUDGED), scan("sub-y_T1w", 2.5)]
    placed, _ = relative_to_groups([*usual, *unclear, *sick, *corrupt])
    names = [row.record.name for row in outliers_first(placed)]
    assert set(names[:4]) == {row.record.name for row in (*corrupt, *unclear)}
    assert set(names[4:10]) == {row.record.name for row in sick}
    alone = [row for row in outliers_first([*sick, *unclear]) if is_corrupt(row)]
    assert alone == []  # borderline, and no other scan of that scanner says that it is unusual there


def test_a_site_with_some_corrupt_scans_is_not_another_scanner():
    _, groups = relative_to_groups(cohort([0.3] * 6 + [3.0] * 4, "A"))
    assert [group.shift for group in groups] == [0]


def test_scores_are_relative_to_ones_own_group_alone():
    one = cohort([0.3, 0.5, 0.4, 0.6, 0.2], "A")
    alone, _ = relative_to_groups(one)
    together, _ = relative_to_groups([*one, *cohort([3.0] * 7, "B")])
    assert [row.relative for row in alone] == [row.relative for row in together[:5]]
    assert np.median([row.relative["relative_quality"] for row in alone]) == pytest.approx(0)


def test_a_group_of_a_few_scans_has_no_relative_scores():
    rows, groups = relative_to_groups(cohort([0.3] * (FEWEST - 1), "A"))
    assert all(not row.relative for row in rows)
    assert groups[0].count == FEWEST - 1


def test_failures_are_kept():
    bad = Row(record("sub-z_T1w", reason="broken"), "")
    rows, _ = relative_to_groups([bad, *cohort([0.3] * 6, "A")])
    assert rows[0] is bad
    assert "reference_group" in table(rows).splitlines()[0].split("\t")


def test_the_columns_of_scanners():
    assert parse_keys(None) == SCANNER
    assert parse_keys("site, protocol") == ("site", "protocol")
    with pytest.raises(InputError, match="--reference-by hospital"):
        parse_keys("hospital")


def test_the_mosaic_shows_each_reports_slice(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.full((90, 80, 3), 120, np.uint8)).save(buffer, "PNG")
    uri = base64.b64encode(buffer.getvalue()).decode()
    rows = cohort([0.3] * 3, "A")
    for row in rows[:2]:
        (tmp_path / row.report).write_text(
            f'<img src="data:image/png;base64,{uri}" alt="Scan, axial slices at z +1 mm, without any anomaly">'
        )
    found = pictures_of(rows, tmp_path)
    assert list(found) == [row.record.name for row in rows[:2]]
    assert all(len(picture) < 4000 for picture in found.values())
    page = render("T1w", rows, "", (), found)
    assert page.count('<img src="data:image/jpeg') == 2
    assert page.index(rows[0].report) < page.index("<tbody>")
