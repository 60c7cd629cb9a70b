"""Which of the series found is meant."""

from collections.abc import Sequence

from itermask.errors import InputError
from itermask.io.dicom.series import Found, Series

ALL = "all"


def choose_series(found: Found, wanted: str | None = None, sequence: str | None = None) -> list[Series]:
    """Return the series to process.

    Args:
        found: what there is.
        wanted: a label, a number, a UID, a part of the description, or `all`; None takes the only one that fits.
        sequence: takes part where `wanted` is None and several series fit: those whose guess it is.

    Returns:
        one series; for `all` every one without a problem.

    Raises:
        InputError: none or several fit, or the chosen one has a problem.
    """
    good = [series for series in found.series if not series.problem]
    if wanted is None:
        fitting = [series for series in good if not series.derived] or good
        if len(fitting) > 1 and sequence is not None:
            fitting = [series for series in fitting if series.guess.sequence == sequence] or fitting
        if not fitting:
            raise InputError(_nothing(found))
        if len(fitting) > 1:
            raise InputError(f"{len(fitting)} series fit; choose one with --series: {_list(fitting)}{_lost(found)}")
        return fitting
    if wanted == ALL:
        if not good:
            raise InputError(_nothing(found))
        return good
    fitting = _matching(found.series, wanted)
    if not fitting:
        raise InputError(f"--series {wanted}: there is none; there are {_list(found.series) or 'no series at all'}")
    usable = [series for series in fitting if not series.problem]
    if len(usable) > 1:
        raise InputError(f"--series {wanted}: {len(usable)} series fit; choose one of {_list(usable)}")
    if not usable:
        raise InputError(f"--series {wanted}: {fitting[0].title} cannot be read: {fitting[0].problem}{_lost(found)}")
    return usable


def _matching(series: Sequence[Series], wanted: str) -> list[Series]:
    """The series that a text means: by label, else number, else UID, else a part of the description."""
    text = wanted.strip().lower()
    for fits in (
        lambda each: each.label == text,
        lambda each: str(each.number) == text,
        lambda each: each.uid == text,
        lambda each: text in each.description.lower(),
    ):
        if matching := [each for each in series if fits(each)]:
            return matching
    return []


def _list(series: Sequence[Series], most: int = 8) -> str:
    """Some series on one line."""
    names = [
        f"{each.label} ({each.description or each.plane}{', ' + each.part if each.part else ''})" for each in series
    ]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _lost(found: Found) -> str:
    """Return how many files cannot be used and why, to end a refusal with; empty for none."""
    lost = [left.reason for left in found.left_out if left.lost]
    if not lost:
        return ""
    reasons = "; ".join(sorted(set(lost))[:3])
    return f"; {len(lost)} {'file' if len(lost) == 1 else 'files'} left out: {reasons}"


def _nothing(found: Found) -> str:
    """Return why there is nothing to process."""
    if found.series:
        shown = found.series[:3]
        why = "; ".join(f"{each.title}{f' ({each.part})' if each.part else ''}: {each.problem}" for each in shown)
        return f"none of {len(found.series)} series can be read as a scan ({why}){_lost(found)}"
    reasons = sorted({left.reason for left in found.left_out})
    count = len(found.left_out)
    held = f"{count} file{'' if count == 1 else 's'}: {'; '.join(reasons[:3])}" if count else "it is empty"
    return f"not a NIfTI file, and it holds no MR series in DICOM ({held})"
