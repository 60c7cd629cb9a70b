"""Sensitivity and false alarms at the verdicts: healthy scans as they are, corrupted, and with lesions.

    python benchmarks/verdicts.py MODEL OUT.tsv SCAN|TABLE [...] [--shapes tumour_shapes.npz] [--card]
    python benchmarks/verdicts.py MODEL OUT.tsv --before EARLIER.tsv        # the table alone, beside an earlier one

Each scan (a NIfTI file, or those of a table with columns path and brain_mask) is processed as it is, with every
artifact at severities 1 to 8, and with dark, bright and textured lesions of 1, 3, 10 and 20 mL; a lesion's outline and
place follow from the scan's name. Rows are
written as they come, and those of an earlier run are kept, so that a run can be continued. `--card` writes the rates
into the model's card, from where reports take them; the scans must then be of scanners that it has not learned.

A scan that is not judged counts as not within. One that is refused is printed and counts nowhere.
"""

import argparse
import csv
import zlib
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
    """The scan as it is, corrupted, and with lesions: kind, name, amount, and how it is made."""
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
        for volume in VOLUMES:
            rng = np.random.default_rng(zlib.crc32(f"{scan.name} {kind} {volume:g}".encode()))
            shape = shapes[names[rng.integers(len(names))]]
            yield "lesion", kind, volume, lambda kind=kind, volume=volume, shape=shape, rng=rng: insert_lesion(
                scan.image, scan.brain_mask, shape, kind, rng,
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


def table(columns):
    """The verdicts as Markdown, a column for each of several runs: how many are not within, and how many outside.

    >>> rows = [{"kind": "healthy", "name": "", "amount": "0.0", "verdict": VERDICTS[1]}]
    >>> print(table({"after": rows}))
    | what | not within, after | outside, after |
    |---|---|---|
    | healthy scans | 1 of 1 | 0 of 1 |
    """
    lines = [
        f"| what | {' | '.join(f'{word}, {name}' for name in columns for word in ('not within', 'outside'))} |",
        f"|---|{'---|' * 2 * len(columns)}",
    ]
    for what in sorted({line_of(row) for rows in columns.values() for row in rows}):
        cells = []
        for rows in columns.values():
            arguments = [row["verdict"] for row in rows if line_of(row) == what]
            for count in (sum(word != VERDICTS[0] for word in arguments), arguments.count(VERDICTS[2])):
                cells.append(f"{count} of {len(arguments)}" if arguments else "–")
        lines.append(f"| {what[-1]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def line_of(row):
    """Where a row counts in `table`: something to sort by, and words."""
    amount = float(row["amount"])
    if row["kind"] == "healthy":
        return 0, "", 0.0, "healthy scans"
    if row["kind"] == "artifact":
        return 1, "", amount, f"artifacts, severity {amount:g}"
    return 2, row["name"], amount, f"{row['name']} lesions of {amount:g} mL"


def read_rows(path):
    """Rows of an earlier run; none if there is no such file."""
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("scans", nargs="*")
    parser.add_argument("--before", type=Path, help="rows of an earlier run, for the table")
    parser.add_argument("--shapes", type=Path)
    parser.add_argument("--artifacts", nargs="*", default=sorted(ARTIFACTS))
    parser.add_argument("--severities", nargs="*", type=int, default=list(SEVERITIES))
    parser.add_argument("--card", action="store_true")
    told = parser.parse_args(arguments)
    rows = read_rows(told.out)
    if told.scans:
        process(told, rows)
    columns = {"after": rows} if told.before is None else {"before": read_rows(told.before), "after": rows}
    print(table(columns))
    measured = rates(rows)
    print(measured)
    if told.card:
        card = read_card(Path(told.model))
        save_card(Path(told.model), card | {"trust": measured})


def process(told, rows):
    """Process what has not been processed yet, and write a row for each."""
    model = load_model(told.model, device="cpu")
    shapes = load_shapes(told.shapes) if told.shapes else {}
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
                said = found.verdict, found.decided_by, found.stands_out, found.headline
                rows.append(dict(zip(COLUMNS, (scan.name, kind, name, amount, *said), strict=True)))
                writer.writerow(rows[-1])
                file.flush()


if __name__ == "__main__":
    main()
