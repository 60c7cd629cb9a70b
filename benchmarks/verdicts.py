"""Sensitivity and false alarms at the verdicts: healthy scans as they are, spoiled, and with lesions.

usage: python benchmarks/verdicts.py MODEL OUT.tsv SCAN|TABLE [...] [--shapes tumour_shapes.npz] [--card]

Each scan (a NIfTI file, or those of a table with columns path and brain_mask) is looked at as it is, with every
artifact at severities 1 to 8, and with dark, bright and textured lesions of 1, 3, 10 and 20 mL; seed 0. Rows are
written as they come, and those of an earlier run are kept, so that a run can be continued. `--card` writes the rates
into the model's card, from where reports take them; the scans must then be of scanners that it has not learned.
"""

import argparse
import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from itermask.errors import InputError
from itermask.io.nifti import read_scan
from itermask.models.folder import load_model, read_card, save_card
from itermask.pipeline import analyze
from itermask.prepare.brain import with_brain
from itermask.synth.artifacts import ARTIFACTS, corrupt
from itermask.synth.lesions import KINDS, insert_lesion, load_shapes
from itermask.types import VERDICTS, top_axis

SEVERITIES, VOLUMES = range(1, 9), (1.0, 3.0, 10.0, 20.0)
COLUMNS = ("scan", "kind", "name", "amount", "verdict", "decided_by", "stands_out", "headline")


def scans_of(sources):
    """Path and brain mask of every scan."""
    for source in map(Path, sources):
        if source.suffix != ".tsv":
            yield source, None
            continue
        with source.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield Path(row["path"]), Path(row["brain_mask"]) if row.get("brain_mask") else None


def variants(scan, shapes, artifacts, severities):
    """The scan as it is, spoiled, and with lesions: kind, name, amount, and how it is made."""
    yield "healthy", "", 0.0, lambda: scan.image
    axis, direction = top_axis(scan)
    for name in artifacts:
        for severity in severities:
            yield "artifact", name, float(severity), lambda name=name, severity=severity: corrupt(
                scan.image, name, severity, 0,
                brain=scan.brain_mask, spacing=scan.spacing, direction=direction, up=axis,
            ).image  # fmt: skip
    brain_ml = float(scan.brain_mask.sum() * np.prod(scan.spacing)) / 1000
    names = sorted(shapes)
    for kind in KINDS if shapes else ():
        for number, volume in enumerate(VOLUMES):
            yield "lesion", kind, volume, lambda kind=kind, volume=volume, number=number: insert_lesion(
                scan.image, scan.brain_mask, shapes[names[number % len(names)]], kind, np.random.default_rng(number),
                contrast=1.0, spacing=scan.spacing, fraction=volume / brain_ml,
            )[0]  # fmt: skip


def rates(rows):
    """What a card holds: how many healthy scans are within, and how many of each other kind are not."""
    counts = defaultdict(lambda: [0, 0])
    for row in rows:
        counts[row["kind"], row["name"], float(row["amount"])][0] += row["verdict"] != VERDICTS[0]
        counts[row["kind"], row["name"], float(row["amount"])][1] += 1
    outside, healthy = counts["healthy", "", 0.0]
    lesions, artifacts = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for (kind, _, amount), (noticed, tried) in sorted(counts.items()):
        into = lesions[f"{amount:g} mL"] if kind == "lesion" else artifacts[f"severity {amount:g}"]
        if kind != "healthy":
            into[0] += noticed
            into[1] += tried
    artifacts.pop("severity 0", None)
    return {"healthy": [healthy - outside, healthy], "lesions": dict(lesions), "artifacts": dict(artifacts)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--shapes", type=Path)
    parser.add_argument("--artifacts", nargs="*", default=sorted(ARTIFACTS))
    parser.add_argument("--severities", nargs="*", type=int, default=list(SEVERITIES))
    parser.add_argument("--card", action="store_true")
    told = parser.parse_args()
    model = load_model(told.model, device="cpu")
    shapes = load_shapes(told.shapes) if told.shapes else {}
    rows = []
    if told.out.exists():
        with told.out.open() as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    done = {(row["scan"], row["kind"], row["name"], float(row["amount"])) for row in rows}
    with told.out.open("a") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t")
        if not rows:
            writer.writeheader()
        for path, mask in scans_of(told.scans):
            scan, _ = with_brain(read_scan(path, model.sequence, mask))
            for kind, name, amount, make in variants(scan, shapes, told.artifacts, told.severities):
                if (scan.name, kind, name, amount) in done:
                    continue
                try:
                    found = analyze(replace(scan, image=make()), model)
                except (InputError, ValueError) as error:
                    print(f"{scan.name} {kind} {name} {amount:g}: {error}")
                    continue
                values = (
                    scan.name,
                    kind,
                    name,
                    amount,
                    found.verdict,
                    found.decided_by,
                    found.stands_out,
                    found.headline,
                )
                rows.append(dict(zip(COLUMNS, values, strict=True)))
                writer.writerow(rows[-1])
                file.flush()
    measured = rates(rows)
    print(measured)
    if told.card:
        card = read_card(Path(told.model))
        save_card(Path(told.model), card | {"trust": measured})


if __name__ == "__main__":
    main()
