"""A scan in three planes with the outlines of brain masks."""

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from itermask.types import Scan

COLOURS = ("#ffb000", "#22c1ff", "#e0407b")
SHARES = (0.3, 0.5, 0.7)  # of the masks' extent along each axis


def draw(scan: Scan, masks: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a picture: three slices along each axis, an outline in its colour for each mask."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    orientation = nib.orientations.io_orientation(scan.affine)
    image, *found = (
        nib.orientations.apply_orientation(one, orientation) for one in (scan.image, *(m for m in masks.values()))
    )
    spacing = nib.affines.voxel_sizes(scan.affine)[np.argsort(orientation[:, 0])]
    together = np.any(found, axis=0)
    inside = image[together] if together.any() else image
    brightest = float(np.percentile(inside, 99.5))
    figure = Figure(figsize=(9, 9.6), layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    for number, axes in enumerate(figure.subplots(3, 3).ravel()):
        axis, share = number // 3, SHARES[number % 3]
        there = np.flatnonzero(together.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (there[0], there[-1]) if there.size else (0, image.shape[axis] - 1)
        at = round(first + share * (last - first))
        across, up = (size for a, size in enumerate(spacing) if a != axis)
        axes.imshow(np.take(image, at, axis).T, cmap="gray", vmin=0, vmax=brightest, origin="lower", aspect=up / across)
        for mask, colour in zip(found, COLOURS, strict=False):
            outline = np.take(mask, at, axis).T.astype(float)
            if outline.any():
                axes.contour(outline, levels=[0.5], colors=[colour], linewidths=1)
        axes.set_axis_off()
    for number, (name, colour) in enumerate(zip(masks, COLOURS, strict=False)):
        figure.text(0.02 + 0.25 * number, 0.005, name, color=colour, fontsize=11)
    partial = path.with_name(f".{path.stem}.part.png")
    figure.savefig(partial, dpi=80)
    partial.replace(path)
