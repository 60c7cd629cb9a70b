"""Measure a model's healthy focal scores and write them into its card; nothing else of the card changes.

usage: python scripts/measure_focal.py MODEL_FOLDER DATA [DATA ...]

DATA: tables or folders of healthy scans as `itermask calibrate` reads them; those of split val. For models that were
calibrated before there was a focal score.
"""

import sys
from pathlib import Path

import numpy as np

from itermask.models.card import read_card
from itermask.models.folder import load_model, save_card
from itermask.results.focal import FOCAL, focal_score, high_level
from itermask.training.cache import prepare_entry
from itermask.training.table import read_data
from itermask.training.train import by_slices


def main():
    folder, sources = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    model = load_model(folder, device="cpu")
    entries = [one for data in sources for one in read_data(data, model.sequence, needed=()) if one.split == "val"]
    found = []
    for entry in entries:
        prepared = prepare_entry(entry, model.sequence, model.grid, by_slices(model.method, model.grid))
        if not prepared.brain.any():
            continue
        point = model.calibration["operating_point"]
        found.append((prepared, model.method.detect(prepared, model.runtime, np.random.default_rng(0), point)))
        print(entry.subject, found[-1][1].scores, high_level(found[-1][1].error, prepared.brain), flush=True)
        write(folder, found)  # what is known so far, so that nothing is lost if it is stopped


def write(folder, found):
    """Write the unit and the scores of the scans processed so far into a card."""
    unit = float(np.median([high_level(one.error, prepared.brain) for prepared, one in found]))
    scores = [
        focal_score(one.mask, one.error, unit, float(np.prod(prepared.spacing)) / 1000) for prepared, one in found
    ]
    card = read_card(folder)
    calibration = card["calibration"]
    calibration["healthy"][FOCAL] = sorted(float(f"{score:.6g}") for score in scores)
    calibration["focal"] = {"unit": float(f"{unit:.6g}"), "scans": len(scores)}
    save_card(folder, card)
    print(calibration["focal"], calibration["healthy"][FOCAL], flush=True)


if __name__ == "__main__":
    main()
