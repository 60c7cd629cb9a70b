"""Draw docs/pictures/artifacts.png: every artifact on the bundled healthy scan, at three severities.

    python scripts/artifact_gallery.py [docs/pictures/artifacts.png]

Axial slices and phase encoding from front to back, but for those named in `VIEWS`; where an artifact is local, a
slice that it damages much.
"""

import io
import sys
from pathlib import Path

import matplotlib
import nibabel as nib
import numpy as np
from PIL import Image

from itermask import read_scan
from itermask.cli.demo import DATA
from itermask.results.report.pictures import brain_box, display_order
from itermask.synth.artifacts import ARTIFACTS, corrupt

SEVERITIES = (2, 5, 8)
BLOCKS = 3  # artifacts beside one another
TILE = 1.45  # inches, a slice's width and height
DPI = 100
WHITE = 1.3  # times the brain's 90th percentile
GREYS = 40  # levels in the file
LEFT_RIGHT, FRONT_BACK, TOP_DOWN = 0, 1, 2  # axes of the volume that is drawn
USUAL = (FRONT_BACK, TOP_DOWN, 1)  # the artifact's axis, the axis that slices are cut across, the seed
VIEWS = {
    "bias_field": (None, TOP_DOWN, 3),
    "missing_chunk": (TOP_DOWN, LEFT_RIGHT, 1),
    "missing_chunk_middle": (TOP_DOWN, LEFT_RIGHT, 1),
    "kspace_point": (TOP_DOWN, TOP_DOWN, 1),
    "smoothing": (None, TOP_DOWN, 1),
}


def panels() -> tuple[dict[str, list[np.ndarray]], float]:
    """Slices of the clean scan and of each artifact at each severity, and the intensity to draw as white."""
    scan = read_scan(DATA / "healthy_T1w.nii.gz", brain_mask=DATA / "healthy_brain.nii.gz")
    assert scan.brain_mask is not None
    order = display_order(scan.affine)
    image = nib.orientations.apply_orientation(scan.image, order)
    brain = nib.orientations.apply_orientation(scan.brain_mask, order)
    spacing = [scan.spacing[int(a)] for a in np.argsort(order[:, 0])]
    middle = [(part.start + part.stop) // 2 for part in brain_box(brain, np.array(spacing))]
    head = brain_box(image > 0.1 * np.percentile(image, 99), np.array(spacing))

    def cut(volume: np.ndarray, across: int, at_slice: int) -> np.ndarray:
        return volume[tuple(slice(None) if a == across else head[a] for a in range(3))].take(at_slice, axis=across).T

    drawn = {"clean": [cut(image, across, middle[across]) for across in (TOP_DOWN, FRONT_BACK, LEFT_RIGHT)]}
    for name in sorted(ARTIFACTS):
        axis, across, seed = VIEWS.get(name, USUAL)
        results = [corrupt(image, name, severity, seed, axis, brain, spacing, direction=-1) for severity in SEVERITIES]
        others = tuple(a for a in range(3) if a != across)
        damaged = results[-1].damaged
        at_slice = middle[across]
        if damaged is not None:
            area = damaged.sum(axis=others)
            at_slice = at_slice if area[at_slice] > 0.5 * area.max() else int(area.argmax())
        drawn[name] = [cut(result.image, across, at_slice) for result in results]
    return drawn, WHITE * float(np.percentile(image[brain], 90))


def draw(drawn: dict[str, list[np.ndarray]], white: float) -> Image.Image:
    """One grey picture with a row of slices for every artifact."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    count = len(SEVERITIES)
    rows = -(-len(drawn) // BLOCKS)
    size = (TILE * BLOCKS * count, (TILE + 0.22) * rows)
    figure, axes = pyplot.subplots(rows, BLOCKS * count, figsize=size, dpi=DPI, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for index, (name, slices) in enumerate(drawn.items()):
        row, block = divmod(index, BLOCKS)
        for column, picture in enumerate(slices):
            axis = axes[row, block * count + column]
            axis.imshow(picture, cmap="gray", vmin=0, vmax=white, interpolation="bilinear")
            if column == 0:
                axis.set_title(name, fontsize=9, loc="left", pad=2)
            if name != "clean":
                axis.text(
                    0.02, 0.98, str(SEVERITIES[column]), color="white", fontsize=8, va="top", transform=axis.transAxes
                )
    figure.subplots_adjust(left=0.002, right=0.998, top=0.985, bottom=0.002, wspace=0.02, hspace=0.17)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    pyplot.close(figure)
    return Image.open(stream).convert("L").quantize(GREYS)


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures/artifacts.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(*panels()).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
