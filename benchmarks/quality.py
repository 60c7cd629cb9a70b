"""Image quality: the reference that comes with the package, and how well it tells corrupted scans from clean ones.

    python benchmarks/quality.py learn                       # samples of clean and corrupted scans, as features
    python benchmarks/quality.py try --source oasis-t1       # artifacts on scans to report on, as features
    python benchmarks/quality.py fit                         # src/itermask/results/quality/reference.json
    python benchmarks/quality.py table --insert docs/quality.md
    python benchmarks/quality.py alike --insert docs/quality.md   # does a severity look alike on 1 and 2 mm?

`learn` and `try` append to files in `--out` and go on where they stopped; they take about 0.4 s a scan of 2 mm and 3 s
one of 1 mm on one core, `try` one more, for the bundled model measures shading and distortion. `--share 0/2` takes
every second sample only, so that two can run side by side. With `--keep` the corrupted brains are stored, so that
features can be changed without corrupting scans again.
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from quality_parts import alike, fit, samples, tables

from itermask import load_model
from itermask.evaluation.benchmark.write import between_marks
from itermask.models.folder import Model
from itermask.synth.artifacts import ARTIFACTS

SIZES = {"ixi-t1": (45, 25, 3), "novosibirsk-t1": (8, 30, 3), "lgg-flair": (12, 0, 2)}
LEARNED = 359  # so many samples of that plan, which is so ordered that its beginning is a fair choice
THICK_SIZES = {"ixi-t1": (0, 16, 3), "novosibirsk-t1": (0, 16, 3)}
LESION_SIZES = {"ixi-t1": (0, 48, 0), "novosibirsk-t1": (0, 16, 0)}
REFERENCE = Path("src/itermask/results/quality/reference.json")
ORIGIN = {
    "made_by": "benchmarks/quality.py",
    "scans": {
        "ixi-t1": "train subjects, T1w at 2 mm, with skull and stripped; IXI, CC BY-SA 3.0, brain-development.org",
        "novosibirsk-t1": "train subjects, T1w at 0.87 mm, stripped; OpenNeuro ds002748, CC0",
    },
    "virtual_scanners": "other voxels, contrasts, noise and coils, see benchmarks/quality_parts/virtual.py",
    "artifacts": "itermask.synth.artifacts, severities 1 to 8",
    "holds": "medians, spreads and weights only; no image of anybody can be made from them",
}


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("step", choices=("learn", "try", "fit", "table", "alike"))
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--out", type=Path, default=Path("runs/quality"), help="folder of the features")
    options.add_argument("--keep", action="store_true", help="store the corrupted brains in it")
    options.add_argument("--source", default="oasis-t1", help="data set to try")
    options.add_argument("--split", default="test")
    options.add_argument("--model", default="any-2mm", help="measures shading and distortion of what is tried")
    options.add_argument("--severities", type=float, nargs="*", default=[3.0, 5.0])
    options.add_argument("--subjects", type=int, default=1000, help="how many of them")
    options.add_argument("--share", default="0/1", help="i/n: the samples i, i + n, …")
    options.add_argument("--penalty", type=float, default=fit.PENALTY)
    options.add_argument("--insert", type=Path, help="document with marks; else the tables are printed")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = parser().parse_args(arguments)
    if chosen.step == "learn":
        collect(islice(samples.plan(chosen.data, SIZES), LEARNED), "learn", chosen)
        collect(samples.plan(chosen.data, THICK_SIZES, samples.THICK), "learn-thick", chosen)
        collect(lesions(chosen.data), "learn-lesion", chosen)
    elif chosen.step == "try":
        wanted = samples.trial(chosen.data, chosen.source, chosen.split, chosen.severities, chosen.subjects)
        collect(wanted, f"try-{chosen.source}-{chosen.split}", chosen, load_model(chosen.model, device="cpu"))
    elif chosen.step == "fit":
        rows = [row for row in learned(chosen.out) if row["source"] in ORIGIN["scans"]]
        reference = fit.fit(rows, tuple(sorted(ARTIFACTS)), chosen.penalty, ORIGIN)
        REFERENCE.write_text(json.dumps(reference.to_json()) + "\n")
        print(f"{REFERENCE}: {len(rows)} samples, {len(reference.names)} features, limits {reference.limits}")
    else:
        made = alike.table(chosen.data) if chosen.step == "alike" else all_tables(chosen)
        for name, text in made.items():
            if chosen.insert:
                between_marks(chosen.insert, name, text)
            else:
                print(text, end="\n\n")


def all_tables(chosen: argparse.Namespace) -> dict[str, str]:
    """Tables of all that was tried, scored as a scan is with the model that measured shading and distortion."""
    healthy = load_model(chosen.model, device="cpu").calibration["healthy"]
    return tables.all_tables(chosen.out, chosen.penalty, healthy)


def collect(
    wanted: Iterable[samples.Sample], name: str, chosen: argparse.Namespace, model: Model | None = None
) -> None:
    """Measure what has not been measured yet; shading and distortion too, if a model is given."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    store = chosen.out / "brains" if chosen.keep else None
    if store is not None:
        store.mkdir(exist_ok=True)
    path = chosen.out / f"{name}.jsonl"
    done = {json.dumps(row["sample"]) for row in _lines(path)}
    first, step = (int(part) for part in chosen.share.split("/"))
    started, count = time.process_time(), 0
    for number, sample in enumerate(wanted):
        if number % step != first or json.dumps(asdict(sample)) in done:
            continue
        row: dict[str, Any] = {"sample": asdict(sample), "features": samples.measure(chosen.data, sample, store)}
        if model is not None and row["features"] is not None:
            row["faults"] = samples.faults_by(model, chosen.data, sample)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        count += 1
    print(f"{path}: {count} samples in {time.process_time() - started:.0f} s of processor time")


def learned(out: Path) -> list[dict[str, Any]]:
    """All samples to learn from."""
    return read(out, "learn") + read(out, "learn-thick") + read(out, "learn-lesion")


def lesions(data: Path) -> Iterable[samples.Sample]:
    """Clean images of brains with a lesion, half of IXI's as they are, the others of virtual scanners."""
    for number, sample in enumerate(samples.plan(data, LESION_SIZES, samples.LESION)):
        real = sample.source == "ixi-t1" and number % 2 == 0
        yield replace(sample, variant=samples.LESION if real else samples.LESION + 1)


def read(out: Path, name: str) -> list[dict[str, Any]]:
    """Samples that could be made, with their features."""
    rows = [row["sample"] | {"features": row["features"]} for row in _lines(out / f"{name}.jsonl")]
    return [row for row in rows if row["features"] is not None]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
