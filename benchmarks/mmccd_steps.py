"""What MMCCD's savings cost: quality and time against the number of DDIM steps and strips.

    python benchmarks/mmccd_steps.py runs/mmccd DATA/lgg-flair --insert docs/results.md

Every patient of the split lends the slices with the largest lesions. All settings process the same slices with the
same seed in one run, so their times compare. Dice is that of the one threshold which is best for all slices (chosen
with the labels in sight), AUPRC is over the brain's pixels; both are means over slices.
"""

import argparse
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from largest_slices import Part, chosen_parts
from rich.progress import track

from itermask.errors import InputError
from itermask.evaluation.benchmark.write import between_marks
from itermask.evaluation.metrics.ranking import auprc_voxels
from itermask.evaluation.metrics.thresholds import best_shared_threshold
from itermask.methods.mmccd import MMCCD
from itermask.methods.mmccd.detection import sampling_plan
from itermask.methods.mmccd.method import PUBLISHED
from itermask.models.folder import Model, load_model

NAME = "mmccd-steps"
HEADER = ("setting", "strips", "DDIM steps", "share", "passes a slice", "Dice", "AUPRC", "seconds a slice", "faster")


@dataclass(frozen=True)
class Outcome:
    """What one setting reaches: means over slices, and seconds and passes of the forward network for a slice."""

    dice: float
    auprc: float
    seconds: float
    passes: float


def measure(model: Model, parts: Sequence[Part], settings: dict[str, Any], seed: int = 0, name: str = "") -> Outcome:
    """Process all slices with changed test-time settings."""
    method = MMCCD(**(model.method.settings() | settings))
    errors, labels, brains, samples, seconds = [], [], [], 0, 0.0
    for part in track(parts, name, transient=True):
        started = time.perf_counter()
        error = method.explore(part.prepared, model.runtime, np.random.default_rng(seed)).error
        seconds += time.perf_counter() - started
        samples += len(sampling_plan(method, method.scored(part.prepared)))
        for at in range(error.shape[-1]):
            errors.append(error[..., at])
            labels.append(part.label[..., at])
            brains.append(part.prepared.brain[..., at])
    dice = best_shared_threshold(errors, labels, brains).dice.mean()
    auprc = np.mean([auprc_voxels(*one) for one in zip(errors, labels, brains, strict=True)])
    return Outcome(float(dice), float(auprc), seconds / len(errors), samples * method.ddim_steps / len(errors))


def variants(model: Model, steps: Sequence[int], strips: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Settings by name: the paper's, the model's own, and every number of DDIM steps with every number of strips."""
    own = {key: model.method.settings()[key] for key in PUBLISHED}
    found = {"paper": dict(PUBLISHED), "model's own": own}
    for count in strips:
        for number in steps:
            found[f"{count} × {number}"] = own | {"strips": count, "ddim_steps": number, "share": 0}
            if own["share"]:
                found[f"{count} × {number}, shared"] = own | {"strips": count, "ddim_steps": number}
    return {name: one for name, one in found.items() if name in ("paper", "model's own") or one != own}


def table(settings: dict[str, dict[str, Any]], outcomes: dict[str, Outcome]) -> str:
    """Rows in Markdown; how much faster is told against the first."""
    slowest = next(iter(outcomes.values())).seconds
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    for name, found in outcomes.items():
        used = [f"{settings[name][key]}" for key in ("strips", "ddim_steps", "share")]
        figures = [f"{found.passes:.0f}", f"{found.dice:.3f}", f"{found.auprc:.3f}", f"{found.seconds:.3g}"]
        lines.append(f"| {' | '.join([name, *used, *figures, f'{slowest / found.seconds:.0f} ×'])} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of an mmccd model")
    parser.add_argument("data", type=Path, help="data set with lesion maps, see docs/datasets.md")
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, help="process at most this many patients")
    parser.add_argument("--slices", type=int, default=1, help="slices of a patient")
    parser.add_argument("--ddim-steps", type=int, nargs="*", default=[1, 2, 5, 10, 25])
    parser.add_argument("--strips", type=int, nargs="*", default=[8, 16, 32])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--insert", type=Path, help="document with marks; else the table is printed")
    chosen = parser.parse_args(arguments)
    try:
        text = run(chosen)
        if chosen.insert:
            between_marks(chosen.insert, NAME, text)
        else:
            print(text)
    except InputError as error:
        parser.error(str(error))


def run(chosen: argparse.Namespace) -> str:
    """All settings on all slices, as Markdown."""
    model = load_model(chosen.model, device=chosen.device)
    if model.method.name != "mmccd":
        raise InputError(f"{chosen.model}: is a {model.method.name} model; give an mmccd model")
    parts = chosen_parts(model, chosen.data, chosen.split, chosen.limit, chosen.slices)
    settings = variants(model, chosen.ddim_steps, chosen.strips)
    measure(model, parts[:1], settings["model's own"])  # the first passes of a network are slow
    outcomes = {name: measure(model, parts, one, chosen.seed, name) for name, one in settings.items()}
    count = sum(part.label.shape[-1] for part in parts)
    about = (
        f"Model `{model.name}`, {count} slices of {len(parts)} patients of {chosen.data.resolve().name} "
        f"({chosen.split or 'all'}), seed {chosen.seed}; {model.runtime.description}, {platform.machine()}, "
        f"{os.cpu_count()} cores."
    )
    return f"{about}\n\n{table(settings, outcomes)}"


if __name__ == "__main__":
    main()
