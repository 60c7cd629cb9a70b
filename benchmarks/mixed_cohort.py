"""Do corrupted scans lead the list of a cohort of two scanners? AUROC of the group table's order.

    python benchmarks/mixed_cohort.py MODEL OUT.jsonl SITE=SCAN[,SCAN,...] SITE=SCAN[,...] [--artifacts NAME ...]

Subjects of the sites take turns, and each of the first ones gets one artifact at `--severity`. Every scan is processed
as it is, too. Figures are written as they come, and those of an earlier run are kept; without scans those alone are
measured. Two orders are measured: of one scan a subject (the corrupted one if there is one), and of all scans.
"""

import argparse
import json
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from itermask.apps.cohort.manifest import DONE, Record
from itermask.apps.cohort.page import outliers_first
from itermask.apps.cohort.relative import relative_to_groups
from itermask.apps.cohort.rows import Row
from itermask.apps.cohort.work import figures_of
from itermask.io.nifti import read_scan
from itermask.models.folder import load_model
from itermask.pipeline import analyze
from itermask.prepare.brain import with_brain
from itermask.synth.artifacts import ARTIFACTS, corrupt
from itermask.types import Source, top_axis

CORRUPTED = tuple(sorted(ARTIFACTS)[::2][:8])  # every other kind, by name


def taking_turns(sites):
    """Site and path of every subject, the first of each site first."""
    turns = zip_longest(*([(site, path) for path in paths] for site, paths in sites.items()))
    return [one for one in chain(*turns) if one is not None]


def corrupted_scan(scan, name, severity):
    """A scan with an artifact."""
    axis, direction = top_axis(scan)
    made = corrupt(
        scan.image, name, severity, 0, brain=scan.brain_mask, spacing=scan.spacing, direction=direction, up=axis
    )
    return replace(scan, image=made.image)


def process(told, rows):
    """Process what has not been processed yet: a row for each scan as it is, and for each that is corrupted."""
    model = load_model(told.model, device="cpu")
    sites = {site: paths.split(",") for site, _, paths in (text.partition("=") for text in told.sites)}
    done = {(row["scan"], row["artifact"]) for row in rows}
    for number, (site, path) in enumerate(taking_turns(sites)):
        scan, wanted = None, ["", *told.artifacts[number : number + 1]]
        for artifact in wanted:
            name = Path(path).name.partition(".")[0]
            if (name, artifact) in done:
                continue
            if scan is None:
                scan, _ = with_brain(read_scan(path, model.sequence))
            finding = analyze(corrupted_scan(scan, artifact, told.severity) if artifact else scan, model)
            rows.append({"scan": name, "artifact": artifact, "figures": figures_of(finding, Source(site=site))})
            with told.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")


def auroc(rows, relative=True):
    """Share of pairs of a corrupted and a clean scan in which the table lists the corrupted one first."""
    found = [
        Row(Record(f"{row['scan']} {row['artifact']}", DONE, {}, figures=row["figures"]), "report.html") for row in rows
    ]
    placed = relative_to_groups(found)[0] if relative else found
    order = np.array([not row.record.name.endswith(" ") for row in outliers_first(placed)])
    bad, good = np.flatnonzero(order), np.flatnonzero(~order)
    return float(np.mean(bad[:, None] < good[None, :]))


def one_a_subject(rows):
    """Of the subjects with a corrupted scan that alone, of the others the clean one."""
    corrupted = {row["scan"] for row in rows if row["artifact"]}
    return [row for row in rows if row["artifact"] or row["scan"] not in corrupted]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("sites", nargs="*")
    parser.add_argument("--artifacts", nargs="*", default=list(CORRUPTED))
    parser.add_argument("--severity", type=float, default=5.0)
    told = parser.parse_args(arguments)
    rows = [json.loads(line) for line in told.out.read_text().splitlines()] if told.out.exists() else []
    if told.sites:
        process(told, rows)
    print("| scans | corrupted | AUROC of the order | without scanners |\n|---|---|---|---|")
    for chosen in (one_a_subject(rows), rows):
        corrupted = sum(bool(row["artifact"]) for row in chosen)
        print(f"| {len(chosen)} | {corrupted} | {auroc(chosen):.3f} | {auroc(chosen, relative=False):.3f} |")


if __name__ == "__main__":
    main()
