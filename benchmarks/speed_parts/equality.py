"""Equality: whether the default path finds what the published search of 100 even steps finds, same weights.

Both on the model's own grid, each at the operating point that its way of searching was calibrated to. What two seeds
of the reference differ by is the tolerance.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from rich.progress import track

from itermask.core.refinement import refine
from itermask.errors import InputError
from itermask.evaluation.benchmark.conditions import AS_IS, Condition, corrupt_scan
from itermask.evaluation.metrics.overlap import dice
from itermask.io.nifti import read_scan
from itermask.methods.itermask3d.detection import reconstructor
from itermask.methods.reference.itermask3d import reference_detection, reference_guidance, reference_reconstruct
from itermask.models.folder import Model, load_model
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import prepare
from itermask.runtime.device import pick_device
from itermask.synth.lesions import load_shapes
from itermask.training.table import Entry, read_data
from itermask.types import Prepared
from speed_parts.detection import plain_network
from speed_parts.measure import machine, table

CONDITIONS = (AS_IS, *(Condition("lesion", kind, size, (0.01, 0.025)) for kind, size in (("dark", 1), ("bright", 0.5))))
HEADER = (
    "scan",
    "condition",
    "τ reference",
    "τ default",
    "% of brain reference",
    "% default",
    "Dice two references",
    "Dice two defaults",
    "Dice default – reference",
    "Dice at one τ",
    "lesion Dice reference",
    "lesion Dice default",
)


@dataclass(frozen=True)
class Found:
    """A threshold and a mask."""

    threshold: float
    mask: np.ndarray


def by_reference(model: Model, prepared: Prepared, seed: int, device: str) -> Found:
    """The published procedure in float32 at the model's operating point, which ends as the model ends it."""
    settings, point = model.method.settings(), model.calibration["operating_point"]
    where = str(pick_device(device))
    network, guidance = plain_network(model).to(where), reference_guidance(prepared.image, prepared.spacing)
    found = reference_detection(
        prepared.image,
        prepared.brain,
        reference_reconstruct(network, guidance, np.random.default_rng(seed), settings["mask_channel"], where),
        point["gamma"],
        steps=settings["steps"],
        fit_limit=settings["fit_limit"],
        min_shrink=settings["min_shrink"],
        threshold_limit=point.get("threshold_limit", np.inf),
    )
    return Found(found.threshold, found.mask)


def by_default(model: Model, prepared: Prepared, seed: int) -> Found:
    """The default path."""
    rng = np.random.default_rng(seed)
    found = model.method.detect(prepared, model.runtime, rng, model.calibration["operating_point"])
    return Found(found.threshold, found.mask)


def at_threshold(model: Model, prepared: Prepared, threshold: float, seed: int) -> np.ndarray:
    """The default path's mask for a given threshold: what is left of the difference is the number format's."""
    reconstruct = reconstructor(model.method, prepared, model.runtime, np.random.default_rng(seed))  # type: ignore[arg-type]
    shrink = model.method.settings()["min_shrink"]
    return refine(prepared.image, prepared.brain, reconstruct, threshold, min_shrink=shrink).mask


def cases(
    entries: list[Entry], model: Model, shapes: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, str, Prepared, np.ndarray | None]]:
    """Subject, condition, the prepared scan and its lesion on the model's grid."""
    for entry in entries:
        scan, _ = with_brain(read_scan(entry.path, model.sequence, entry.brain_mask))
        for condition in CONDITIONS:
            made, lesion = corrupt_scan(scan, condition, entry.subject, shapes)
            prepared = prepare(made, model.grid)
            label = None if lesion is None else prepared.placement.to_box(lesion.astype(np.float32)) >= 0.5
            yield entry.subject, condition.name or "as is", prepared, None if label is None else label & prepared.brain


def run(chosen: argparse.Namespace) -> str:
    """The part's table in Markdown."""
    model, even = load_model(chosen.model, device=chosen.device), load_model(chosen.even, device=chosen.device)
    if even.method.settings()["focused"]:
        raise InputError(f"{chosen.even}: its curve is focused; calibrate it with --setting focused=false")
    entries = [entry for entry in read_data(chosen.table, model.sequence, needed=()) if entry.split == "val"]
    subjects = sorted({entry.subject for entry in entries})[: chosen.subjects]
    entries = [next(entry for entry in entries if entry.subject == subject) for subject in subjects]
    shapes = load_shapes(chosen.data / "lesion-shapes" / "tumour_shapes.npz")
    rows, overlaps = [], []
    todo = cases(entries, model, shapes)
    for subject, condition, prepared, lesion in track(todo, "equality", len(entries) * len(CONDITIONS), transient=True):
        reference = [by_reference(even, prepared, seed, chosen.device) for seed in (0, 1)]
        default = [by_default(model, prepared, seed) for seed in (0, 1)]
        same = at_threshold(model, prepared, reference[0].threshold, 0)
        alike = [
            dice(reference[0].mask, reference[1].mask),
            dice(default[0].mask, default[1].mask),
            dice(default[0].mask, reference[0].mask),
            dice(same, reference[0].mask),
        ]
        if lesion is not None:
            alike += [dice(one[0].mask, lesion) for one in (reference, default)]
            overlaps.append(alike)
        thresholds = [" ".join(f"{one.threshold:.3f}" for one in both) for both in (reference, default)]
        sizes = [f"{100 * one[0].mask.sum() / prepared.brain.sum():.2f}" for one in (reference, default)]
        figures = [f"{value:.3f}" for value in alike] + ["–"] * (6 - len(alike))
        rows.append([subject, condition, *thresholds, *sizes, *figures])
    means = [f"**{value:.3f}**" for value in np.mean(overlaps, axis=0)]
    rows.append(["**mean**", "with lesions", "", "", "", "", *means])
    point, other = model.calibration["operating_point"], even.calibration["operating_point"]
    about = (
        f"{len(entries)} scans of split val, {len(CONDITIONS)} conditions, seeds 0 and 1. Default path: model "
        f"`{model.name}` at {point} ({model.runtime.description}). Reference: {even.method.settings()['steps']} even "
        f"steps in float32 at {other}, of `{even.name}`. {machine()}"
    )
    return f"{about}\n\n{table(HEADER, rows)}"
