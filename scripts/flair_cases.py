"""Draw docs/pictures/flair-cases.png: the slices with the largest lesion of the best, the median and the worst patient.

    python scripts/flair_cases.py runs/flair-results ../shared/data/lgg-flair runs/flair/itermask2

Which patients these are is read from a benchmark's rows, by label-free Dice of that slice.
"""

import argparse
import json
from pathlib import Path

import matplotlib
import nibabel as nib
import numpy as np

import itermask
from itermask.evaluation.benchmark.slices import largest_slice
from itermask.io.datasets import read_dataset
from itermask.io.nifti import read_mask, read_scan
from itermask.models.folder import Model, load_model
from itermask.results.report.pictures import brain_box, display_order

METHOD = "IterMask2"
COLUMNS = ("scan", "manual outline", "what itermask marks", "error map")


def chosen(results: Path, method: str) -> dict[str, tuple[str, float]]:
    """Subject and Dice of the best, the median and the worst slice of a benchmark's rows."""
    rows = [json.loads(line) for path in sorted(results.glob("scans*.jsonl")) for line in path.read_text().splitlines()]
    found = sorted((row["slice"]["dice"], row["subject"]) for row in rows if row["method"] == method and "slice" in row)
    ranks = {"best": -1, "median": len(found) // 2, "worst": 0}
    return {name: (found[index][1], found[index][0]) for name, index in ranks.items()}


def panels(subject: str, data: Path, model: Model) -> list[np.ndarray]:
    """The slice, the label, the mask and the error map of a patient, front up."""
    (case,) = [case for case in read_dataset(data) if case.subject == subject]
    scan = read_scan(case.paths[model.sequence], model.sequence, case.brain_mask)
    assert case.lesion is not None
    lesion = read_mask(case.lesion, scan.image.shape, scan.affine, empty=True)
    finding = itermask.run(scan, model)
    part = largest_slice(scan, finding, lesion)
    assert part is not None
    axis = next(axis for axis in range(3) if part.lesion.shape[axis] == 1)
    areas = lesion.sum(axis=tuple(other for other in range(3) if other != axis))
    index = [int(np.argmax(areas))]
    order = display_order(scan.affine)

    def shown(volume: np.ndarray) -> np.ndarray:
        return nib.orientations.apply_orientation(volume, order)[..., 0].T[::-1]

    image, brain = np.take(scan.image, index, axis), np.take(finding.brain, index, axis)
    flat = [shown(one) for one in (image, part.lesion, part.finding.anomaly, part.finding.error, brain)]
    rows, columns = brain_box(flat[4][..., None], np.array([scan.spacing[0], scan.spacing[1], 1.0]))[:2]
    return [one[rows, columns] for one in flat]


def draw(cases: dict[str, tuple[str, float]], data: Path, model: Model, path: Path) -> None:
    """One row a case, one column for what is in `COLUMNS`."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(cases), len(COLUMNS), figsize=(8.4, 2.4 * len(cases)), facecolor="black")
    for column, axis in zip(COLUMNS, axes[0], strict=True):
        axis.set_title(column, color="white", fontsize=9)
    for row, (name, (subject, dice)) in zip(axes, cases.items(), strict=True):
        image, lesion, mask, error, brain = panels(subject, data, model)
        white = np.percentile(image[brain], 99.5)
        for index, axis in enumerate(row):
            axis.imshow(image, cmap="gray", vmin=0, vmax=white)
            if index == 3:
                axis.imshow(error, cmap="inferno", vmin=0, vmax=max(float(np.percentile(error[brain], 99)), 1e-6))
            for drawn, colour in ((lesion, "#3ddc84"), (mask, "#ff5a3c")):
                wanted = {1: lesion, 2: mask}.get(index)
                if wanted is drawn and drawn.any():
                    axis.contour(drawn, [0.5], colors=colour, linewidths=1.2)
            axis.axis("off")
        row[0].text(0.02, 0.02, f"{name}: Dice {dice:.2f}", color="white", fontsize=9, transform=row[0].transAxes)
    figure.subplots_adjust(0, 0, 1, 0.94, 0.02, 0.02)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, facecolor="black")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the benchmark")
    parser.add_argument("data", type=Path, help="its data set")
    parser.add_argument("model", help="folder of the model")
    parser.add_argument("--method", default=METHOD, help="name of the method in the benchmark")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/flair-cases.png"))
    given = parser.parse_args()
    draw(chosen(given.results, given.method), given.data, load_model(given.model), given.out)


if __name__ == "__main__":
    main()
