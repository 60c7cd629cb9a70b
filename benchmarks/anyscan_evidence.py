"""What each pass of the any-scan network knows of a lesion: tumours on FLAIR, at one threshold for all patients.

    python benchmarks/anyscan_evidence.py any-2mm ../shared/data --insert docs/concepts/any-scan.md

The first `train` patients of `lgg-flair` are taken; the network has learned from none of them, and its method was
chosen on them, so the figures compare arms and are no test. For every kind of evidence the threshold is moved until
the bright map flags a share of the brain in the slices without a lesion, all patients pooled; Dice is the mean over
patients at that threshold, on the model's grid, without post-processing. `best` is the Dice with each patient's own
best threshold.
"""

import argparse
import csv
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.progress import track

from itermask import load_model
from itermask.evaluation.benchmark.write import between_marks
from itermask.io.nifti import read_scan
from itermask.methods.anyscan.description import describe_contrast
from itermask.methods.anyscan.detection import ROLE
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.maps import evidence, in_own_spread, smooth_within
from itermask.methods.anyscan.masks import block_parts
from itermask.methods.anyscan.training import ANOMALY_LOGITS, network_input
from itermask.models.folder import Model
from itermask.prepare.prepare import prepare
from itermask.types import Prepared

SHARES = (0.001, 0.003, 0.01)
PARTS = 3  # sets of blocks; a pass hides all but one


def arms(model: Model, prepared: Prepared) -> dict[str, np.ndarray]:
    """Return every kind of evidence of a bright anomaly, on the model's grid."""
    image, brain = prepared.image, prepared.brain
    rng = np.random.default_rng(0)
    description = describe_contrast(image, brain)[None]
    fine = fine_structure(image, brain, prepared.spacing, model.method.cutoff)
    sigma = [model.method.smoothing / size for size in prepared.spacing]

    def restore(hidden: np.ndarray) -> np.ndarray:
        inputs = network_input(image, fine, hidden, brain, rng)[None]
        return model.runtime.batch(ROLE, inputs, description=description)[0]

    def departure(expected: np.ndarray) -> np.ndarray:
        return in_own_spread(smooth_within(image - expected, brain, sigma), brain)

    whole, seen = restore(brain), restore(np.zeros_like(brain))
    parts = block_parts(image.shape, prepared.spacing, rng, PARTS)
    blocks = sum(np.where(parts != part, restore((parts != part) & brain)[0], 0) for part in range(PARTS)) / (PARTS - 1)
    logits, hidden = seen[ANOMALY_LOGITS][0], departure(whole[0])
    joined = evidence(logits, hidden, brain)
    again = restore((joined > np.quantile(joined[brain], 0.95)) & brain)
    return {
        "intensity alone (robust z, smoothed)": smooth_within(image, brain, sigma),
        "departure, nothing hidden": departure(seen[0]),
        "departure, blocks hidden": departure(blocks),
        "departure, whole brain hidden": hidden,
        "departure, then only what was flagged hidden": departure(again[0]),
        "classified by the network": logits,
        "departure × classification": joined,
    }


def dice(mask: np.ndarray, lesion: np.ndarray) -> float:
    """Return the Dice coefficient; 0 where both are empty."""
    return float(2 * (mask & lesion).sum() / max(1, mask.sum() + lesion.sum()))


def row(maps: list[np.ndarray], brains: list[np.ndarray], lesions: list[np.ndarray]) -> list[float]:
    """Return the best Dice, then Dice at each of `SHARES`."""
    best, free = [], []
    for values, brain, lesion in zip(maps, brains, lesions, strict=True):
        levels = np.quantile(values[brain], 1 - np.geomspace(3e-4, 0.3, 60))
        best.append(max(dice((values > level) & brain, lesion) for level in levels))
        free.append(values[brain & ~lesion.any((0, 1))])
    found = [float(np.mean(best))]
    for share in SHARES:
        level = np.quantile(np.concatenate(free), 1 - share)
        each = [dice((v > level) & brain, lesion) for v, brain, lesion in zip(maps, brains, lesions, strict=True)]
        found.append(float(np.mean(each)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="any-scan model: folder or bundled name")
    parser.add_argument("data", type=Path, help="folder with lgg-flair")
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--insert", type=Path, help="document whose table is replaced")
    arguments = parser.parse_args()
    model, folder = load_model(arguments.model), arguments.data / "lgg-flair"
    with open(folder / "participants.tsv", newline="") as lines:
        names = [one["participant_id"] for one in csv.DictReader(lines, delimiter="\t") if one["split"] == "train"]
    found: dict[str, list[np.ndarray]] = {}
    brains, lesions = [], []
    for name in track(names[: arguments.patients], "patients"):
        scan = read_scan(folder / f"{name}_FLAIR.nii.gz", "FLAIR", folder / f"{name}_brain.nii.gz")
        prepared = prepare(scan, model.grid)
        lesion = np.asanyarray(nib.load(folder / f"{name}_lesion.nii.gz").dataobj) > 0
        brains.append(prepared.brain)
        lesions.append((prepared.placement.to_box(lesion.astype(np.float32)) >= 0.5) & prepared.brain)
        for arm, values in arms(model, prepared).items():
            found.setdefault(arm, []).append(values)
    heads = ["best", *(f"at {100 * share:.2g} %" for share in SHARES)]
    lines = [f"| evidence | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for arm, maps in found.items():
        lines.append(f"| {arm} | {' | '.join(f'{value:.3f}' for value in row(maps, brains, lesions))} |")
    lines.append(f"\n{len(brains)} patients of `lgg-flair`, split train; model `{model.name}`.")
    table = "\n".join(lines)
    print(table)
    if arguments.insert:
        between_marks(arguments.insert, "anyscan-evidence", table)


if __name__ == "__main__":
    main()
