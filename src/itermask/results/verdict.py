"""One verdict from three questions: can the scan be judged, is the image spoiled, does something stand out.

Each is answered elsewhere, by a number with its healthy range; here they are only combined. The worst answer decides,
and the headline says which.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from itermask.prepare.plausibility import ADULT_ML, MISSING_ML, Plausibility
from itermask.results.focal import FOCAL, focal_limits
from itermask.results.scoring import PROFILE_SCORE, limits
from itermask.types import NOT_JUDGED, UNKNOWN, VERDICTS

JUDGED, QUALITY, STANDS_OUT = "judged", "quality", "focal"
ASKS = {
    JUDGED: "Is it a brain scan that this model can judge?",
    QUALITY: "Is the image spoiled?",
    STANDS_OUT: "Does something stand out?",
}
MASK = "mask_size"
MISSING_TISSUE = "Tissue is missing"
LEAST_GAP = 0.5  # of image-quality scores, between borderline and outside


class ImageQuality(Protocol):
    """What the verdict takes from a scan's image quality, see `itermask.results.quality.Quality`."""

    @property
    def score(self) -> float:
        """Higher is worse."""
        ...

    @property
    def limits(self) -> tuple[float, float]:
        """The scores from which a scan is borderline, and outside."""
        ...

    @property
    def likely(self) -> str | None:
        """The likely fault as text."""
        ...


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: `judged`, `quality` or `focal`.
        asks: the question as text.
        level: 0 within the healthy range, 1 borderline, 2 outside; None where there is no answer.
        sentence: the answer as text.
        headline: what stands in the headline if this answer decides.
        number: name of the number behind it.
        value: that number; None where there is none.
        unit: of the number.
        borderline: the value above which it is no longer within; None where there is no range.
        outside: the value above which it is outside.
    """

    question: str
    asks: str
    level: int | None
    sentence: str
    headline: str = ""
    number: str = ""
    value: float | None = None
    unit: str = ""
    borderline: float | None = None
    outside: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What is said of a scan.

    Attributes:
        word: one of `VERDICTS`, `NOT_JUDGED` or `UNKNOWN`.
        headline: one sentence that says what decided.
        decided_by: the question that decided; empty if all is within the range or nothing is known.
        answers: one for each question.
        stands_out: how far the scan is from healthy ones, for sorting: quality and focal score together, where each is
            1 at its borderline and 2 where outside begins.
    """

    word: str
    headline: str
    decided_by: str
    answers: tuple[Answer, ...]
    stands_out: float


def answer_judged(found: Plausibility) -> Answer:
    """Return whether the scan can be judged, as text.

    Example:
        >>> answer = answer_judged(Plausibility(numbers={"brain_ml": 1450.0}))
        >>> answer.sentence
        'It was compared with no template; the brain has 1450 mL.'
    """
    volume = found.numbers.get("brain_ml")
    missing = found.missing_part
    if found.reasons:
        level, sentence = None, " ".join(found.reasons)
    elif found.registration is not None:
        overlap = 100 * found.registration.overlap
        level, sentence = (
            0,
            f"Yes: a brain of {volume:.0f} mL, whose shape overlaps with the template by {overlap:.0f} %.",
        )
        if missing:
            sentence = f"Yes, but tissue is missing: {missing}."
    elif volume is None:
        level, sentence = 0, "It was not asked."
    else:
        level, sentence = 0, f"It was compared with no template; the brain has {volume:.4g} mL."
    return Answer(
        JUDGED, ASKS[JUDGED], level, sentence, f"Not judged. {sentence}" if level is None else "",
        "brain volume", volume, "mL", *ADULT_ML,
    )  # fmt: skip


def answer_quality(quality: ImageQuality | None, placed: Mapping[str, Mapping[str, float]], healthy: Any) -> Answer:
    """Return whether the image is spoiled: by the image quality, else by the healthy-profile distance.

    Args:
        quality: of the scan, if it was measured.
        placed: the scan's scores.
        healthy: the healthy scans' values of each score.

    Example:
        >>> answer_quality(None, {}, {}).level is None
        True
    """
    if quality is not None:
        level = sum(quality.score > limit for limit in quality.limits)
        likely = f" The likely fault is {quality.likely}." if quality.likely and level else ""
        sentence = (
            "No: the image is as clean as those of healthy scans from many scanners.",
            f"Perhaps: the image is less clean than nine in ten clean scans.{likely}",
            f"Yes: the image is less clean than 97 % of clean scans.{likely}",
        )[level]
        fault = f": {quality.likely}" if quality.likely else ""
        headline = f"The image {'is perhaps' if level == 1 else 'looks'} spoiled{fault}"
        return Answer(
            QUALITY, ASKS[QUALITY], level, sentence, headline, "image-quality score", quality.score, "", *quality.limits
        )
    if PROFILE_SCORE not in placed or PROFILE_SCORE not in healthy:
        return Answer(QUALITY, ASKS[QUALITY], None, "It is not known, as the model has no healthy range for it.")
    value, ends = placed[PROFILE_SCORE]["value"], limits(healthy[PROFILE_SCORE])
    level = sum(value > end for end in ends)
    sentence = (
        "No: the errors over the whole brain are as large as in healthy scans.",
        "Perhaps: the errors over the whole brain are larger than in 95 % of healthy scans.",
        "Yes, or it comes from another kind of scanner: the errors over the whole brain are unlike healthy scans’.",
    )[level]
    headline = "The whole image differs from healthy scans: it is spoiled, or from another kind of scanner"
    return Answer(
        QUALITY,
        ASKS[QUALITY],
        level,
        sentence,
        headline,
        "distance of the errors from healthy scans’",
        value,
        "",
        *ends,
    )


def answer_focal(
    placed: Mapping[str, Mapping[str, float]],
    healthy: Any,
    volume_ml: float,
    largest_ml: float,
    where: str,
    missing_ml: float = 0.0,
    missing: str = "",
) -> Answer:
    """Return whether something stands out: by the focal score, the mask's share of the brain, and missing tissue.

    Args:
        placed: the scan's scores.
        healthy: the healthy scans' values of each score.
        volume_ml: of the anomaly mask.
        largest_ml: of its largest region.
        where: that region's place as text; may be empty.
        missing_ml: volume of missing tissue.
        missing: which part of the brain that is.

    Example:
        >>> answer_focal({}, {}, volume_ml=0.0, largest_ml=0.0, where="").sentence
        'It is not known, as the model has no healthy range.'
    """
    levels: dict[str, int] = {}
    shown: tuple[float | None, float | None] = (None, None)
    if FOCAL in placed and FOCAL in healthy:
        ends = shown = focal_limits(healthy[FOCAL])
        levels[FOCAL] = sum(placed[FOCAL]["value"] > end for end in ends)
    if MASK in placed and MASK in healthy:
        ends = limits(healthy[MASK])
        levels[MASK] = sum(placed[MASK]["value"] > end for end in ends)
        if FOCAL not in levels:
            shown = ends
    name, unit = ("focal score", "mL at a high error") if FOCAL in levels else ("share of the brain marked", "")
    value = placed[FOCAL if FOCAL in levels else MASK]["value"] if levels else None
    numbers = (name, value, unit, *shown)
    if missing_ml:
        sure = missing_ml >= MISSING_ML
        text = f"{MISSING_TISSUE}: {missing}, {millilitres(missing_ml)}"
        return Answer(STANDS_OUT, ASKS[STANDS_OUT], 2 if sure else 1, f"Yes. {text}.", text, *numbers)
    if not levels:
        text = "It is not known, as the model has no healthy range."
        return Answer(STANDS_OUT, ASKS[STANDS_OUT], None, text, "", *numbers)
    level = max(levels.values())
    if level == 0:
        text = "No: nothing is marked." if not volume_ml else (
            f"No: {millilitres(volume_ml)} are marked, no more than in healthy scans."
        )  # fmt: skip
        return Answer(STANDS_OUT, ASKS[STANDS_OUT], 0, text, "", *numbers)
    region = f" in the {where}" if where else ""
    perhaps = "perhaps " if level == 1 else ""
    headline = f"A region{region} {perhaps}stands out: {millilitres(largest_ml)}"
    if levels.get(FOCAL, 0) < level:
        headline = f"More of the brain is marked than in healthy scans: {millilitres(volume_ml)}"
    text = f"{'Perhaps' if level == 1 else 'Yes'}. {headline}; {millilitres(volume_ml)} are marked in all."
    return Answer(STANDS_OUT, ASKS[STANDS_OUT], level, text, headline, *numbers)


def millilitres(volume: float) -> str:
    """Return a volume as text, with as many digits as can be meant.

    >>> millilitres(2.234), millilitres(0.0312), millilitres(18.6)
    ('2.2 mL', '0.03 mL', '19 mL')
    """
    return f"{volume:.0f} mL" if volume >= 10 else f"{volume:.1f} mL" if volume >= 1 else f"{volume:.2f} mL"


def combine(judged: Answer, quality: Answer, focal: Answer) -> Verdict:
    """Return the verdict that three answers lead to.

    Example:
        >>> within = [Answer(question, ASKS[question], 0, "Yes.") for question in (JUDGED, QUALITY, STANDS_OUT)]
        >>> combine(*within).word
        'within the healthy range'
    """
    answers = (judged, quality, focal)
    stands_out = extent(quality) + extent(focal)
    if judged.level is None:
        return Verdict(NOT_JUDGED, judged.headline, JUDGED, answers, stands_out)
    known = [answer for answer in (quality, focal) if answer.level is not None]
    worst = max((answer.level or 0 for answer in known), default=None)
    if worst is None or (worst == 0 and focal.level is None):
        return Verdict(UNKNOWN, "The model has no healthy range, so there is no verdict", "", answers, stands_out)
    if worst == 0:
        return Verdict(VERDICTS[0], _calm(quality), "", answers, stands_out)
    deciding = [answer for answer in known if answer.level == worst]
    if is_missing(focal):
        deciding = sorted(deciding, key=lambda answer: answer.question != STANDS_OUT)
    headline = deciding[0].headline
    if len(deciding) == 2 and is_missing(focal):
        headline = f"{headline}. {deciding[1].headline}"
    elif len(deciding) == 2:
        headline = f"{headline}. {focal.headline}, which may come of that"
    return Verdict(VERDICTS[worst], headline, deciding[0].question, answers, stands_out)


def is_missing(answer: Answer) -> bool:
    """Return whether an answer speaks of missing tissue.

    Example:
        >>> is_missing(Answer(STANDS_OUT, ASKS[STANDS_OUT], 0, "Nothing is marked."))
        False
    """
    return answer.headline.startswith(MISSING_TISSUE)


def _calm(quality: Answer) -> str:
    """Return the headline where all is within the range."""
    return "Nothing stands out" if quality.level is None else "Nothing stands out, and the image is clean"


def extent(answer: Answer) -> float:
    """Return how far an answer's number lies out: about 1 at its borderline, 2 where outside begins, at least 0.

    Missing tissue counts at least as much as its level.

    Example:
        >>> extent(Answer(STANDS_OUT, "", 1, "", value=2.0, borderline=1.0, outside=3.0))
        1.585
    """
    least = float(answer.level or 0)
    value, one, two = answer.value, answer.borderline, answer.outside
    if value is None or one is None or two is None:
        return least
    if answer.question == QUALITY and answer.number == "image-quality score":
        return round(max(0.0, 1 + (value - one) / max(two - one, LEAST_GAP)), 4)
    grown = math.log1p(max(0.0, value) / max(one, 1e-9)) / math.log(2)
    return round(max(grown, least) if is_missing(answer) else grown, 3 if answer.question == STANDS_OUT else 4)


def plain_answers(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return answers as JSON holds them.

    Example:
        >>> plain_answers([])
        []
    """
    return [dict(vars(answer)) for answer in answers]
