"""The report of one scan: a single HTML file without scripts that loads nothing from anywhere."""

import base64
import json
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from jinja2 import Environment, StrictUndefined

from itermask.finding import VERDICTS, Finding
from itermask.report import charts, pictures
from itermask.scan import Scan

NOTICE = "For research use only; not a medical device and not a diagnosis."
TONES = dict(zip(VERDICTS, ("green", "amber", "red"), strict=True))
OBLIQUE = 3.0  # degrees from which a reader is told that slices are tilted
FEATURES_NAMED = 3
SCORE_COLUMNS = ("value", "healthy_median", "healthy_p95")
ORDINALS = ("first", "second", "third")


def write_report(scan: Scan, finding: Finding, path: Path) -> None:
    """Write the report of one scan, under a temporary name first, so that no half-written report is ever seen.

    Args:
        scan: the scan on its own grid.
        finding: what was found in it, on the same grid.
        path: the HTML file; its folder must exist, a file of that name is replaced.

    Raises:
        ValueError: the finding's maps do not have the scan's shape.
        OSError: the file cannot be written.
    """
    path = Path(path)
    page = render(scan, finding)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        unfinished.write_text(page, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def render(scan: Scan, finding: Finding) -> str:
    """The report as HTML; the same scan and finding give the same text.

    Raises:
        ValueError: the finding's maps do not have the scan's shape.
    """
    template = files("itermask.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    angle = pictures.tilt(finding.affine)
    return environment.from_string(template).render(
        notice=NOTICE,
        name=scan.name,
        facts=_facts(scan, finding),
        tone=TONES.get(finding.verdict, "grey"),
        verdict=finding.verdict[:1].upper() + finding.verdict[1:],
        sentence=_verdict_sentence(finding),
        numbers=_numbers(finding),
        warnings=finding.warnings,
        planes=_planes(scan, finding),
        marked=bool(finding.anomaly.any()),
        tilt=f"{angle:.0f}" if angle >= OBLIQUE else None,
        scale=_error_scale(finding),
        search_charts=_search_charts(finding),
        score_chart=_svg_uri(charts.score_chart(finding.scores)),
        scores=_score_rows(finding),
        profile_chart=_svg_uri(charts.profile_chart(finding.profile)),
        profile_sentence=_profile_sentence(finding.profile),
        tables=_tables(finding),
    )


def _facts(scan: Scan, finding: Finding) -> list[tuple[str, str]]:
    """What was looked at, and with what."""
    sequence = scan.sequence or finding.settings.get("sequence")
    return [
        ("Sequence", str(sequence or "not known")),
        ("Model", str(finding.settings.get("model") or "not named")),
        ("Grid", " × ".join(map(str, scan.image.shape))),
        ("Voxel", " × ".join(f"{step:.3g}" for step in scan.spacing) + " mm"),
    ]


def _score_key(finding: Finding) -> str | None:
    """Which of the scores is the scan-level score, if that can be told."""
    return next(
        (name for name, score in finding.scores.items() if charts.finite(score.get("value")) == finding.score), None
    )


def _standing(percentile: float | None) -> str | None:
    """A percentile in words."""
    percentile = charts.finite(percentile)
    if percentile is None:
        return None
    if percentile >= 100:
        return "higher than in every healthy validation scan"
    if percentile <= 0:
        return "not higher than in any healthy validation scan"
    return f"higher than in {min(percentile, 99.9):.3g} % of the healthy validation scans"


def _verdict_sentence(finding: Finding) -> str:
    """The score and where it stands."""
    key = _score_key(finding)
    name = charts.score_name(key) if key else ""
    what = f"score, the {name[:1].lower()}{name[1:]}," if key else "score"
    sentence = f"The scan’s {what} is {charts.score_value(key or '', finding.score)}"
    standing = _standing(finding.percentile)
    return f"{sentence}, {standing}." if standing else f"{sentence}; how healthy scans score is not known."


def _numbers(finding: Finding) -> list[dict[str, str]]:
    """The headline numbers: label, value, and a note under each."""
    volume = finding.anomaly.sum() * abs(np.linalg.det(finding.affine[:3, :3])) / 1000
    key = _score_key(finding)
    percentile = charts.finite(finding.percentile)
    return [
        {
            "label": "Score",
            "value": charts.score_value(key or "", finding.score),
            "note": _healthy_note(finding, key),
        },
        {
            "label": "Percentile",
            "value": "–" if percentile is None else f"{percentile:.3g}",
            "note": "of healthy validation scans",
        },
        {
            "label": "Anomaly",
            "value": f"{_share(finding.anomaly_fraction)} %",
            "note": f"of the brain, {volume:.1f} ml",
        },
        {
            "label": "Mean error",
            "value": charts.number(finding.mean_error),
            "note": _healthy_note(finding, "mean_error") or "squared scaled intensity",
        },
    ]


def _share(fraction: float) -> str:
    """A share of the brain in percent; tiny ones are not rounded to nothing."""
    percent = 100 * fraction
    if 0 < percent < 0.01:
        return "< 0.01"
    return f"{percent:.2f}" if percent < 10 else f"{percent:.1f}"


def _healthy_note(finding: Finding, key: str | None) -> str:
    """The healthy median of a score, if known."""
    median = charts.finite(finding.scores.get(key or "", {}).get("healthy_median"))
    return "" if median is None else f"healthy median {charts.score_value(key or '', median)}"


def _planes(scan: Scan, finding: Finding) -> list[dict[str, Any]]:
    """The planes' pictures as the template shows them."""
    planes = []
    for drawn in pictures.draw_planes(scan, finding):
        where = f"{drawn.plane} slices at {', '.join(drawn.places)}"
        marked = "with the anomaly outlined in red" if finding.anomaly.any() else "without any anomaly"
        rows = (
            ("Scan", "anomaly in red", drawn.scan, f"Scan, {where}, {marked}"),
            ("Reconstruction", "what the model expects", drawn.reconstruction, f"Reconstruction, {where}"),
            ("Error map", "squared difference", drawn.error, f"Error map, {where}; brighter is a larger error"),
        )
        planes.append(
            {
                "name": drawn.plane.capitalize(),
                "file_slices": ", ".join(map(str, drawn.file_slices)),
                "file_axis": ORDINALS[drawn.file_axis],
                "rows": [
                    {
                        "title": title,
                        "note": note,
                        "uri": _uri("image/png", pictures.png(rgb)),
                        "alt": alt,
                        "width": rgb.shape[1],
                        "height": rgb.shape[0],
                    }
                    for title, note, rgb, alt in rows
                ],
            }
        )
    return planes


def _error_scale(finding: Finding) -> dict[str, Any]:
    """The error map's colour bar: its colours, its end, and where the threshold lies on it."""
    ceiling = pictures.error_ceiling(finding)
    stops = pictures.colours(np.linspace(0, 1, 13))
    threshold = charts.finite(finding.threshold)
    if threshold is not None and not 0 < threshold <= ceiling:
        threshold = None
    return {
        "gradient": ", ".join(f"rgb({r},{g},{b})" for r, g, b in stops.tolist()),
        "ceiling": charts.number(ceiling),
        "threshold": None if threshold is None else charts.number(threshold),
        "at": None if threshold is None else round(100 * threshold / ceiling, 1),
    }


def _search_charts(finding: Finding) -> list[dict[str, str | None]]:
    """Charts of how the threshold and the mask were found, as far as the method tells it."""
    search = finding.search
    shown: list[dict[str, str | None]] = []
    if curve := charts.threshold_chart(search):
        alt = "Threshold curve: error threshold against the percent of the brain revealed"
        shown.append({"title": "Threshold curve", "uri": _svg_uri(curve), "alt": alt, "note": _curve_note(search)})
    if mask := charts.mask_chart(search):
        voxels = [int(count) for count in search["mask_voxels"]]
        passes = search.get("passes", len(voxels) - 1)
        after = f"{passes} pass{'' if passes == 1 else 'es'}"
        note = f"The mask settled after {after}, with {_thousands(voxels[-1])} voxels on the model’s grid."
        if search.get("settled") is False:
            note = f"The mask had not settled when it was stopped after {after}."
        alt = f"Voxels in the mask, from {_thousands(voxels[0])} before the first pass to {_thousands(voxels[-1])}"
        shown.append({"title": "Mask size per pass", "uri": _svg_uri(mask), "alt": alt, "note": note})
    return shown


def _curve_note(search: Mapping[str, Any]) -> str:
    """How the stop threshold was chosen."""
    gamma = charts.finite(search.get("gamma"))
    slope = "the limit gamma" if gamma is None else f"gamma = {gamma:g} per percent"
    r_squared = charts.finite(search.get("r_squared"))
    fit = "" if r_squared is None else f" (R² {r_squared:.3f})"
    if search.get("crossed") is False:
        note = f"The slope never exceeded {slope}: nothing stands out"
        note += "." if charts.is_limited(search) else ", and the last step was taken."
    else:
        note = f"The threshold stands where the slope first exceeds {slope}."
    if charts.is_limited(search):
        used, own = (charts.number(search[key]) for key in ("threshold", "own_threshold"))
        note += (
            f" It was lowered from {own} to {used}, the model’s limit, above which healthy scans show next to nothing."
        )
    if "fitted" in search:
        how = "a fitted tangent" if search["fitted"] else "smoothed differences, for the tangent misses the curve"
        note += f" Slope from {how}{fit}."
    return note


def _thousands(count: int) -> str:
    """A count with narrow gaps between thousands."""
    return f"{count:,}".replace(",", "\u202f")


def _score_rows(finding: Finding) -> list[dict[str, str]]:
    """The scores as a table."""
    return [
        {"name": charts.score_name(name)}
        | {key: charts.score_value(name, charts.finite(score.get(key))) for key in SCORE_COLUMNS}
        | {"percentile": charts.number(charts.finite(score.get("percentile")))}
        for name, score in finding.scores.items()
    ]


def _profile_sentence(profile: Mapping[str, Mapping[str, float]]) -> str:
    """The features most out of range, in plain words."""
    z = {name: value for name, entry in profile.items() if (value := charts.finite(entry.get("z"))) is not None}
    far = sorted((name for name in z if abs(z[name]) > charts.Z_NORMAL), key=lambda name: -abs(z[name]))
    if not far:
        return "No error level lies more than 2 healthy standard deviations from the healthy median."
    named = [
        f"{charts.feature_name(name)} ({abs(z[name]):.1f} standard deviations {'above' if z[name] > 0 else 'below'})"
        for name in far[:FEATURES_NAMED]
    ]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"Most out of the healthy range: {listed}; {len(far)} of {len(z)} lie beyond 2 standard deviations."


def _tables(finding: Finding) -> list[tuple[str, list[tuple[str, str]]]]:
    """Settings, timings and versions as rows of text."""
    single = {key: value for key, value in finding.search.items() if not isinstance(value, list | tuple | dict)}
    timings = {stage: f"{seconds:.2f} s" for stage, seconds in finding.timings.items()}
    groups = {"Settings": finding.settings, "Search": single, "Timings": timings, "Versions": finding.versions}
    rows = {title: [(key, _plain_value(value)) for key, value in group.items()] for title, group in groups.items()}
    return [(title, listed) for title, listed in rows.items() if listed]


def _plain_value(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list | tuple) else str(value)


def _uri(kind: str, content: bytes) -> str:
    """A data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _svg_uri(svg: str | None) -> str | None:
    """An SVG file as a data URI."""
    return None if svg is None else _uri("image/svg+xml", svg.encode())
