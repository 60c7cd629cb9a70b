"""The default path at the published settings against the published procedure written down apart from it.

    python benchmarks/parity.py runs/ixi/labelled.tsv --insert docs/reproduction.md

`itermask.methods.reference.itermask3d` shares no code with the path that users run: its guidance is a full complex
Fourier transform, its curve a sort, its refinement a loop of its own. Both process the same scans, on the model's grid,
with the same weights in float32 and the same noise. Of the threshold curves the largest difference in rank is told: how
many voxels of a scan's brain have an error between the two thresholds of a step.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from speed_parts.measure import machine, table

from itermask.evaluation.benchmark.write import between_marks
from itermask.evaluation.metrics.overlap import dice
from itermask.methods import build_method
from itermask.methods.reference.itermask3d import (
    reference_curve,
    reference_guidance,
    reference_reconstruct,
    reference_refine,
    reference_step,
)
from itermask.models.folder import find_model, load_model, load_networks, read_card
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.training.cache import prepare_entry
from itermask.training.config import read_config
from itermask.training.table import read_data

NAME = "parity"
AT_TEST = ("focused", "steps", "window", "tangent_alone", "start", "min_shrink")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="labelled scans, see scripts/ixi_table.py")
    parser.add_argument("--model", default="t1w-2mm")
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=3, help="process at most this many scans")
    parser.add_argument("--gamma", type=float, nargs="+", default=[0.01, 0.1, 1.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--insert", type=Path, help="document with marks; else the text is printed")
    chosen = parser.parse_args(arguments)
    text = run(chosen)
    if chosen.insert:
        between_marks(chosen.insert, NAME, text)
    else:
        print(text)


def run(chosen: argparse.Namespace) -> str:
    folder = find_model(chosen.model)
    card = read_card(folder)
    published = read_config(None, preset="itermask3d-published").method_settings
    method = build_method(
        card["method"], card["method_settings"] | {name: published[name] for name in AT_TEST} | {"crop": False}
    )
    networks = load_networks(folder, card)
    runtime = TorchRuntime(networks, "cpu", torch.float32)
    grid = load_model(chosen.model, device="cpu").grid
    entries = [entry for entry in read_data(chosen.table, card["sequence"], needed=()) if entry.split == chosen.split]
    rows = []
    for entry in entries[: chosen.limit]:
        prepared = replace(prepare_entry(entry, card["sequence"], grid), divisor=0)
        image, brain = prepared.image, prepared.brain
        rng = np.random.default_rng(chosen.seed)
        errors: list[np.ndarray] = []
        reconstruct = reference_reconstruct(
            networks["reconstruction"], reference_guidance(image, prepared.spacing), rng, method.mask_channel
        )

        def record_passes(x: np.ndarray, mask: np.ndarray, network=reconstruct, kept=errors) -> np.ndarray:
            found = network(x, mask)
            kept.append(np.sort(((x - found) ** 2)[brain]))  # noqa: B023
            return found

        curve = reference_curve(image, brain, record_passes)
        reconstruct(image, brain)  # the pass with nothing hidden, which the profile takes
        state = rng.bit_generator.state
        search = method.explore(prepared, runtime, np.random.default_rng(chosen.seed))
        between = [
            abs(int(np.searchsorted(one, a)) - int(np.searchsorted(one, b)))
            for one, a, b in zip(errors, curve, search.curve, strict=True)
        ]
        for gamma in chosen.gamma:
            found = method.finalize(search, {"gamma": gamma})
            step = reference_step(curve, gamma)
            rng.bit_generator.state = state
            mask, _, _, passes = reference_refine(image, brain, reconstruct, float(curve[step]))
            same = "same" if step == found.trace["step"] else f"{step + 1} and {found.trace['step'] + 1}"
            fell = 1 - curve[step] / found.threshold
            rows.append([
                entry.subject, f"{max(between)} of {int(brain.sum())}", f"{gamma:g}", same, f"{100 * fell:.2f} %",
                f"{passes} and {found.trace['passes']}", f"{int(mask.sum())} and {int(found.mask.sum())}",
                f"{dice(mask, found.mask):.4f}",
            ])  # fmt: skip
    header = [
        "scan", "largest difference of a curve, ranks", "gamma", "stop step", "published threshold lower by", "passes",
        "voxels", "Dice of the masks",
    ]  # fmt: skip
    return f"Model `{chosen.model}`, seed {chosen.seed}. {machine()}\n\n{table(header, rows)}"


if __name__ == "__main__":
    main()
