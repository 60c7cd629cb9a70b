"""Draw what the any-scan model learns from: 24 training examples of one healthy T1w scan.

    python scripts/contrast_gallery.py runs/anyscan/table.tsv docs/pictures/training-contrasts.png

Each panel is the slice of one example in which the anomaly changes most, or the middle slice where there is none. What
is brighter than normal is outlined in red, what is darker in blue. Nothing is hidden in the panels.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from itermask.methods import build_method
from itermask.training.cache import cached_volume, read_volume
from itermask.training.config import read_config
from itermask.training.table import read_data

COLUMNS, ROWS = 8, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="table of scripts/anyscan_table.py")
    parser.add_argument("out", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    config = read_config(None, preset="any-2mm")
    entry = next(entry for entry in read_data(arguments.table, "T1w") if entry.split == "train" and entry.tissues)
    with TemporaryDirectory() as cache:
        volume = read_volume(cached_volume(entry, "T1w", config.grid(), Path(cache)), config.grid())
    mix = {"blocks": 0.0, "fields": 0.0, "ellipsoids": 0.0, "full": 0.0}
    method = build_method("anyscan", {"mix": mix})
    figure, axes = plt.subplots(ROWS, COLUMNS, figsize=(2 * COLUMNS, 2.35 * ROWS), facecolor="black")
    for number, axis in enumerate(axes.flat):
        example = method.example(volume, np.random.default_rng(number))
        image, classes = example["input"][0], example["anomaly"]
        changed = (classes == 1) | (classes == 2)
        areas = changed.sum((0, 1))
        level = int(np.argmax(areas)) if areas.any() else image.shape[2] // 2
        inside = image[volume.brain]
        low, high = np.percentile(inside, [0.5, 99.5])
        axis.imshow(image[:, :, level].T, origin="lower", cmap="gray", vmin=min(low, 0), vmax=high)
        for value, colour in ((1, "#ff5050"), (2, "#5ab0ff")):
            part = (classes[:, :, level] == value).T
            if part.any():
                axis.contour(part, levels=[0.5], colors=colour, linewidths=0.7)
        axis.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0.02, 0.02)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=70)


if __name__ == "__main__":
    main()
