"""What a report says in words and numbers, from a finding."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from itermask.results.regions import Region
from itermask.results.report import charts
from itermask.results.report.pictures import AXES, signed
from itermask.results.whose import facts_of
from itermask.types import UNKNOWN, Finding, Scan

FEATURES_NAMED = 3
ORDINALS = ("first", "second", "third")
SCORE_COLUMNS = ("value", "healthy_median", "healthy_p95")
REASONS = {
    "profile_distance": "the errors over the whole brain are unlike those of healthy scans",
    "mask_size": "more of the brain is marked than in healthy scans",
}
LEVELS = ("green", "amber", "red")
TRUST = (
    "An answer within the range does not show that the scan is healthy: small, faint and diffuse changes are missed, "
    "and a region that is marked may be nothing."
)


def facts(scan: Scan, finding: Finding) -> list[tuple[str, str]]:
    """Return what was processed, and with what.

    Example:
        >>> dict(facts(scan, finding))["Sequence"]
        'T1w'
    """
    sequence = scan.sequence or finding.settings.get("sequence")
    return [
        ("Sequence", str(sequence or "not known")),
        ("Model", str(finding.settings.get("model") or "not named")),
        ("Grid", " × ".join(map(str, scan.image.shape))),
        ("Voxel", " × ".join(f"{step:.3g}" for step in scan.spacing) + " mm"),
        *facts_of(scan.source),
    ]


def _score_key(finding: Finding) -> str | None:
    """Return which of the scores is the scan-level score, if that can be told."""
    return next(
        (name for name, score in finding.scores.items() if charts.finite(score.get("value")) == finding.score), None
    )


def _standing(percentile: float | None) -> str | None:
    """Return a percentile in words."""
    percentile = charts.finite(percentile)
    if percentile is None:
        return None
    if percentile >= 100:
        return "higher than in every healthy validation scan"
    if percentile <= 0:
        return "not higher than in any healthy validation scan"
    return f"higher than in {min(percentile, 99.9):.3g} % of the healthy validation scans"


def headline(finding: Finding) -> str:
    """Return what decided the verdict, in one sentence; of a finding without questions its score and where that stands.

    Example:
        >>> type(headline(finding)).__name__
        'str'
    """
    return f"{finding.headline}." if finding.headline else verdict_sentence(finding)


def trust(finding: Finding) -> str:
    """Return how much to trust the verdict: what the model's card says was measured on unseen scanners.

    Example:
        >>> type(trust(finding)).__name__
        'str'
    """
    measured = finding.settings.get("trust")
    if not measured:
        return TRUST
    within, scans = measured["healthy"]
    parts = [
        f"Of {scans} healthy scans from scanners that the model had not learned, {scans - within} were not within."
    ]
    for kind in ("lesions", "artifacts"):
        found = [f"{what}: {noticed} of {tried}" for what, (noticed, tried) in measured.get(kind, {}).items()]
        if found:
            parts.append(f"Of {kind} put on them these were not within: {'; '.join(found)}.")
    return f"{' '.join(parts)} {TRUST}"


def question_rows(finding: Finding) -> list[dict[str, str]]:
    """Return the three questions with their answers, numbers and healthy ranges.

    Example:
        >>> len(question_rows(finding))
        3
    """
    return [
        {
            "asks": str(answer["asks"]),
            "sentence": str(answer["sentence"]),
            "tone": "grey" if answer["level"] is None else LEVELS[answer["level"]],
            "number": _answer_number(answer),
        }
        for answer in finding.questions
    ]


def _answer_number(answer: Mapping[str, Any]) -> str:
    """Return a number with its healthy range in words; empty where there is none."""
    value = charts.finite(answer["value"])
    if value is None:
        return ""
    unit = f" {answer['unit']}" if answer["unit"] else ""
    text = f"{str(answer['number']).capitalize()} {charts.number(value)}{unit}"
    low, high = charts.finite(answer["borderline"]), charts.finite(answer["outside"])
    if low is None or high is None:
        return text
    if answer["question"] == "judged":
        return f"{text}; adults’ {charts.number(low)} to {charts.number(high)}"
    return f"{text}; borderline above {charts.number(low)}, outside above {charts.number(high)}"


def quality_rows(finding: Finding) -> list[tuple[str, str]]:
    """Return the image-quality numbers as rows of text.

    Example:
        >>> type(quality_rows(finding)).__name__
        'list'
    """
    numbers = finding.quality.get("numbers", {})
    return [
        (name.replace("_", " "), f"{charts.number(charts.finite(one.get('value')))} {one.get('unit', '')}".strip())
        for name, one in numbers.items()
    ]


def verdict_sentence(finding: Finding) -> str:
    """Return the score and where it stands.

    Example:
        >>> type(verdict_sentence(finding)).__name__
        'str'
    """
    key = _score_key(finding)
    name = charts.score_name(key) if key else ""
    what = f"score, the {name[:1].lower()}{name[1:]}," if key else "score"
    sentence = f"The scan’s {what} is {charts.score_value(key or '', finding.score)}"
    standing = _standing(finding.percentile)
    return f"{sentence}, {standing}." if standing else f"{sentence}; how healthy scans score is not known."


def reason(finding: Finding) -> str:
    """Return what the verdict rests on; empty where the finding does not tell.

    Example:
        >>> type(reason(finding)).__name__
        'str'
    """
    names = finding.search.get("verdict_reasons")
    if names is None or finding.verdict == UNKNOWN:
        return ""
    if not names:
        return "Neither its errors nor the size of its anomaly mask stand out from those of healthy scans."
    parts = []
    for name in names:
        score = finding.scores.get(name, {})
        value = charts.score_value(name, charts.finite(score.get("value")))
        title = charts.score_name(name)
        what = REASONS.get(name, f"the score {title[:1].lower()}{title[1:]} is high")
        limit = charts.finite(score.get("healthy_p95"))
        usual = "" if limit is None else f"; 95 % of healthy scans stay below {charts.score_value(name, limit)}"
        parts.append(f"{what} ({value}{usual})")
    return f"Why: {', and '.join(parts)}."


def numbers(finding: Finding) -> list[dict[str, str]]:
    """Return the headline numbers: label, value, and a note under each.

    Example:
        >>> [sorted(number) for number in numbers(finding)][:1]
        [['label', 'note', 'value']]
    """
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
            "value": f"{share(finding.anomaly_fraction)} %",
            "note": f"of the brain, {volume:.1f} ml",
        },
        {
            "label": "Mean error",
            "value": charts.number(finding.mean_error),
            "note": _healthy_note(finding, "mean_error") or "squared scaled intensity",
        },
    ]


def share(fraction: float) -> str:
    """Return a share of the brain in percent; tiny ones are not rounded to nothing.

    Example:
        >>> share(0.0123)
        '1.23'
    """
    percent = 100 * fraction
    if 0 < percent < 0.01:
        return "< 0.01"
    return f"{percent:.2f}" if percent < 10 else f"{percent:.1f}"


def _healthy_note(finding: Finding, key: str | None) -> str:
    """Return the healthy median of a score, if known."""
    median = charts.finite(finding.scores.get(key or "", {}).get("healthy_median"))
    return "" if median is None else f"healthy median {charts.score_value(key or '', median)}"


def curve_note(search: Mapping[str, Any]) -> str:
    """Return how the stop threshold was chosen.

    Example:
        >>> curve_note({})
        'The threshold stands where the slope first exceeds the limit gamma.'
    """
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


def thousands(count: int) -> str:
    """Return a count with narrow gaps between thousands.

    Example:
        >>> thousands(999), len(thousands(1234567))
        ('999', 9)
    """
    return f"{count:,}".replace(",", "\u202f")


def score_rows(finding: Finding) -> list[dict[str, str]]:
    """Return the scores as a table.

    Example:
        >>> type(score_rows(finding)).__name__
        'list'
    """
    return [
        {"name": charts.score_name(name)}
        | {key: charts.score_value(name, charts.finite(score.get(key))) for key in SCORE_COLUMNS}
        | {"percentile": charts.number(charts.finite(score.get("percentile")))}
        for name, score in finding.scores.items()
    ]


def profile_sentence(profile: Mapping[str, Mapping[str, float]]) -> str:
    """Return the features most out of range, in plain words.

    Example:
        >>> profile_sentence({})
        'No error level lies more than 2 healthy standard deviations from the healthy median.'
    """
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


def tables(finding: Finding) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return settings, timings and versions as rows of text.

    Example:
        >>> [title for title, rows in tables(finding)]
        ['Settings', 'Search', 'Timings', 'Versions']
    """
    single = {key: value for key, value in finding.search.items() if not isinstance(value, list | tuple | dict)}
    timings = {stage: f"{seconds:.2f} s" for stage, seconds in finding.timings.items()}
    groups = {
        "Image quality": dict(quality_rows(finding)),
        "Settings": {key: value for key, value in finding.settings.items() if key != "trust"},
        "Search": single,
        "Timings": timings,
        "Versions": finding.versions,
    }
    rows = {title: [(key, _plain_value(value)) for key, value in group.items()] for title, group in groups.items()}
    return [(title, listed) for title, listed in rows.items() if listed]


def _plain_value(value: Any) -> str:
    """Return a setting as text."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list | tuple) else str(value)


def position_text(position: Sequence[float]) -> str:
    """Return a position in signed whole mm along right, front and top, such as `x +24, y −12, z +40`.

    Example:
        >>> position_text([24.2, -12.0, 40.0])
        'x +24, y −12, z +40'
    """
    return ", ".join(f"{axis} {signed(value)}" for axis, value in zip(AXES, position, strict=True))


def region_rows(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Return the regions of the anomaly mask as a table.

    Example:
        >>> region_rows([])
        []
    """
    return [
        {
            "place": position_text(region.position_mm),
            "mm": " ".join(f"{value:.2f}" for value in region.position_mm),
            "side": region.side or "",
            "part": region.place or ("outside the brain’s parts" if region.position_mni_mm else ""),
            "kind": region.kind,
            "mni": position_text(region.position_mni_mm) if region.position_mni_mm else "",
            "volume": f"{region.volume_ml:.2f}" if region.volume_ml >= 0.1 else f"{region.volume_ml:.3f}",
            "instance": "" if region.instance is None else str(region.instance),
            "voxels": thousands(region.voxels),
            "mean": charts.number(region.mean_error),
            "peak": charts.number(region.peak_error),
        }
        for region in regions
    ]


def slices_text(file_slices: Sequence[int], file_axis: int, instances: Sequence[int]) -> str:
    """Return which slices of the file are shown; of a DICOM series across its images by their instance numbers too.

    >>> slices_text([0, 2], 2, [7, 6, 5])
    'instance numbers 7, 5; file slices 0, 2 (from 0) along the third array axis'
    """
    text = f"file slices {', '.join(map(str, file_slices))} (from 0) along the {ORDINALS[file_axis]} array axis"
    if file_axis != 2 or not instances:
        return text
    return f"instance numbers {', '.join(str(instances[index]) for index in file_slices)}; {text}"


def regions_note(shown: int, count: int, volume: float, registered: bool) -> str:
    """Return how many regions there are, and how many of them the table leaves out.

    Args:
        shown: how many the table has.
        count: how many there are.
        volume: in ml, of those that it leaves out.
        registered: whether left and right of the head are known.

    Example:
        >>> print(regions_note(shown=3, count=8, volume=1.5, registered=True))
        8 connected regions are marked. The 3 largest are listed; the other 5 have 1.50 ml together.
    """
    if not count:
        return "No voxel is marked as anomaly."
    note = "One connected region is marked." if count == 1 else f"{thousands(count)} connected regions are marked."
    if count > shown:
        note += f" The {shown} largest are listed; the other {thousands(count - shown)} have {volume:.2f} ml together."
    if not registered:
        note += (
            " The brain could not be laid over a template, so places are millimetres of the scanner, which do not tell "
            "where the middle of the head is."
        )
    return note
