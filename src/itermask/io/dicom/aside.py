"""What a path holds beside the series that are processed, in lines."""

from collections.abc import Collection
from pathlib import Path

from itermask.io.dicom.series import Found

MOST = 3  # names on a line


def left_aside(found: Found, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return a line for each series that is not processed, and for each reason why files are in no series.

    Args:
        found: what there is.
        taken: labels of the series that are processed.
    """
    series = tuple(
        f"not processed: {each.title}{f' ({each.part})' if each.part else ''}: {each.problem or 'another is chosen'}"
        for each in found.series
        if each.label not in taken
    )
    return series + left_out_lines(found)


def left_out_lines(found: Found) -> tuple[str, ...]:
    """Return a line for each reason why files are in no series: some names, how many more, the reason."""
    names: dict[str, list[str]] = {}
    for left in found.left_out:
        names.setdefault(left.reason, []).append(Path(left.name).name)
    lines = []
    for reason, those in sorted(names.items()):
        more = f" and {len(those) - MOST} more" if len(those) > MOST else ""
        lines.append(f"left out: {', '.join(those[:MOST])}{more}: {reason}")
    return tuple(lines)
