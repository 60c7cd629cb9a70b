r"""What each part of IterMask3D contributes: small models at 4 mm, alike but for one setting, on the same data.

    python benchmarks/ablations.py --table runs/ixi/table.tsv --shapes DATA/lesion-shapes/tumour_shapes.npz \
        --out runs/ablations --write docs/results.md

Every variant is trained, calibrated and run on the *validation* scans with the same artifacts and lesions as
in `t1w_results.py`. At 4 mm and a few thousand steps the figures are lower than the bundled model's; what
counts is the difference between rows. Finished variants are not trained again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from t1w_results import ARTIFACTS, LESIONS, collect, described, entries_of, interval, write_into

from itermask import RunSettings, load_model
from itermask.evaluation.metrics import auroc
from itermask.lesions import load_shapes
from itermask.training.config import read_config
from itermask.training.train import train_model

MARKS = ("<!-- ablations: start -->", "<!-- ablations: end -->")
COMMON: dict[str, Any] = {
    "spacing": [4.0, 4.0, 4.0],
    "box": [48, 48, 48],
    "learning_rate": 0.0015,
    "validate_every": 500,
}
REFERENCE = {"reconstruction": {"name": "reference-unet-3d", "arguments": {}}}
NO_FULL = {"ellipsoid": 0.65, "field": 0.35, "full": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "as bundled": {},
    "no fully hidden brains in training": {"method_settings": {"masks": NO_FULL}},
    "ellipsoids only (the paper's masks)": {
        "method_settings": {"masks": {"ellipsoid": 1.0, "field": 0.0, "full": 0.0}}
    },
    "network not told the mask": {"method_settings": {"mask_channel": False}},
    "no high-frequency guidance": {"method_settings": {"guidance": False}},
    "the published network": {"method_settings": {"mask_channel": False}, "networks": REFERENCE},
}


def measure(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a variant if needed, and run it on the validation scans."""
    console = Console(stderr=True)
    if not (folder / "done").exists():
        console.print(f"training: {name}")
        config = read_config(None, steps=arguments.steps, **COMMON, **VARIANTS[name])
        train_model(arguments.table, "T1w", folder, config)
        (folder / "done").touch()
    model = load_model(folder)
    entries = entries_of(arguments.table, "val", arguments.limit)
    rows = collect(model, entries, load_shapes(arguments.shapes), folder / "val", RunSettings())
    clean = [row for row in rows if row["condition"] == "clean"]
    found: dict[str, Any] = {"name": name, "validation_loss": model.card["metrics"]["validation_loss"]}
    found["point"] = described(model)
    found["clean"] = 100 * float(np.median([row["anomaly_fraction"] for row in clean]))
    found["auroc"] = float(
        np.mean(
            [
                auroc(
                    [row["profile_distance"] for row in clean],
                    [row["profile_distance"] for row in rows if row["condition"] == artifact],
                )
                for artifact in ARTIFACTS
            ]
        )
    )
    lesions = [row for row in rows if row["condition"] in LESIONS]
    found["dice"] = [row["dice"] for row in lesions]
    found["best"] = [row["best_dice"] for row in lesions]
    (folder / "found.json").write_text(json.dumps(found))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--shapes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), metavar="VARIANT", help="all if not given")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    lines = [
        f"Models at 4 mm, {arguments.steps} steps each, seed 0; {arguments.limit} validation scans of `ixi-t1`, "
        "lesions of all three kinds together. Means with 95 % bootstrap intervals.",
        "",
        "| variant | validation loss | operating point | label-free Dice | best-threshold Dice per scan | "
        "artifact AUROC (profile) | clean: median mask, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in arguments.only:
        found = measure(name, arguments.out / f"variant{list(VARIANTS).index(name)}", arguments)
        lines.append(
            f"| {name} | {found['validation_loss']:.3f} | {found['point']} | {interval(found['dice'])} | "
            f"{interval(found['best'])} | {found['auroc']:.3f} | {found['clean']:.2f} |"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.write:
        write_into(arguments.write, text, MARKS)


if __name__ == "__main__":
    main()
