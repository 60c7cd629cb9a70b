"""Does a severity look alike on voxels of 1 and of 2 mm? What every artifact changes, as who reads a slice sees it."""

from pathlib import Path

import numpy as np
from quality_parts.samples import load, subjects
from scipy import ndimage

from itermask.synth.artifacts import ARTIFACTS, corrupt

SEVERITY = 5.0
SUBJECTS, SEEDS = 2, 3


def table(data: Path) -> dict[str, str]:
    """Root mean square of what an artifact changes in the brain, in slices seen with pixels of 2 mm."""
    changes: dict[str, list[tuple[float, float]]] = {name: [] for name in sorted(ARTIFACTS)}
    for subject in subjects(data, "novosibirsk-t1", "train")[:SUBJECTS]:
        scan = load(data, "novosibirsk-t1", subject, skull=False)
        fine = np.maximum(ndimage.zoom(scan.image, scan.spacing, order=1), 0)
        coarse = _pixels(fine, (2, 2, 2))
        level = np.percentile(fine[fine > 0], 90)
        for name, found in changes.items():
            for seed in range(SEEDS):
                axis = 2 if name.startswith("missing") else seed
                seen = []
                for image, edge in ((fine, 1.0), (coarse, 2.0)):
                    brain = ndimage.binary_fill_holes(image > 0.05 * level)
                    change = corrupt(image, name, SEVERITY, seed, axis, brain, (edge,) * 3).image - image
                    count = round(2 / edge)
                    inside = _pixels(brain.astype(np.float32), (count, count, 1)) > 0.9
                    pixels = _pixels(change * brain, (count, count, 1))
                    seen.append(float(np.sqrt(np.mean(pixels[inside] ** 2)) / level))
                found.append((seen[0], seen[1]))
    rows = ["| artifact | 1 mm | 2 mm | ratio |", "|---|---|---|---|"]
    for name, found in changes.items():
        one, two = np.mean(found, axis=0)
        rows.append(f"| `{name}` | {100 * one:.1f} % | {100 * two:.1f} % | {one / two:.2f} |")
    return {"quality-alike": "\n".join(rows)}


def _pixels(volume: np.ndarray, counts: tuple[int, int, int]) -> np.ndarray:
    """Mean of blocks of voxels."""
    for axis, count in enumerate(counts):
        length = volume.shape[axis] // count * count
        parts = np.moveaxis(volume, axis, 0)[:length]
        volume = np.moveaxis(parts.reshape(length // count, count, *parts.shape[1:]).mean(1), 0, axis)
    return volume
