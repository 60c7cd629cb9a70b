"""Detection: the default path against the published procedure, same weights, same scan of 1 mm."""

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from itermask.apps.cohort.memory import peak_bytes
from itermask.core.error_maps import Reconstruct
from itermask.core.masks import brain_crop
from itermask.io.nifti import read_scan
from itermask.methods.itermask3d.detection import reconstructor
from itermask.methods.itermask3d.method import IterMask3D
from itermask.methods.reference.itermask3d import (
    PUBLISHED_GRID,
    reference_detection,
    reference_guidance,
    reference_reconstruct,
)
from itermask.models.folder import Model, load_model
from itermask.networks import build_network
from itermask.prepare.brain import with_brain
from itermask.prepare.grid import Grid
from itermask.prepare.prepare import prepare
from itermask.runtime.choice import open_runtime
from itermask.runtime.device import pick_device
from itermask.types import Prepared
from speed_parts.measure import MB, fresh, interleaved, machine, table

PUBLISHED_NETWORK = ("reference-unet-3d", {})
HEADER = ("network", "way", "box", "s a pass", "passes", "s a detection", "faster", "peak, MB")


@dataclass(frozen=True)
class Way:
    """One way to process a scan.

    Attributes:
        network: `bundled` or `published`.
        reference: whether it is the published procedure.
        spacing: voxel size in mm.
    """

    network: str
    reference: bool
    spacing: float = 1.0

    @property
    def label(self) -> str:
        """Its name in the table."""
        return "reference" if self.reference else f"default path at {self.spacing:g} mm"


@dataclass(frozen=True)
class Timed:
    """A whole detection: seconds, passes of the curve (and the profile) and of refinement, and the mask."""

    seconds: float
    curve: int
    refinement: int
    mask: np.ndarray

    @property
    def passes(self) -> int:
        """All passes."""
        return self.curve + self.refinement


CURVE = 100  # passes of the published curve
WAYS = (
    Way("bundled", True),
    Way("bundled", False),
    Way("bundled", False, 2.0),
    Way("published", True),
    Way("published", False),
)


def grid_of(model: Model, spacing: float) -> Grid:
    """The model's grid at another voxel size: the same box in mm."""
    share = [own / spacing for own in model.grid.spacing]
    edges = [int(np.ceil(edge * part / 16)) * 16 for edge, part in zip(model.grid.box, share, strict=True)]
    return replace(model.grid, spacing=(spacing,) * 3, box=tuple(edges))


def plain_network(model: Model) -> torch.nn.Module:
    """The model's network in float32 on the CPU, in PyTorch's own layout."""
    network = copy.deepcopy(model.runtime.networks["reconstruction"]).cpu().float()  # type: ignore[attr-defined]
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
    return network.eval()


def untrained() -> torch.nn.Module:
    """The published network with random weights, which compute as long as any."""
    torch.manual_seed(0)
    return build_network(*PUBLISHED_NETWORK).eval()


def place_scan(way: Way, model: Model, path: Path) -> Prepared:
    """The scan on a way's grid; the reference's is 192³ voxels of 1 mm."""
    scan, _ = with_brain(read_scan(path, model.sequence))
    grid = replace(PUBLISHED_GRID, scale=model.grid.scale) if way.reference else grid_of(model, way.spacing)
    if way.network == "published":
        grid = replace(PUBLISHED_GRID, scale=model.grid.scale)  # the default path crops it by itself
    return prepare(scan, grid)


def method_of(way: Way, model: Model) -> IterMask3D:
    """The method with the settings that a way's network takes."""
    if way.network == "bundled":
        return model.method  # type: ignore[return-value]
    return IterMask3D(**(model.method.settings() | {"mask_channel": False, "crop": True}))


def reconstruct_of(way: Way, model: Model, prepared: Prepared, seed: int, device: str) -> Reconstruct:
    """`(image, mask) → reconstruction` in a way's own manner."""
    rng = np.random.default_rng(seed)
    if way.reference:
        network = plain_network(model) if way.network == "bundled" else untrained()
        where = str(pick_device(device))
        guidance = reference_guidance(prepared.image, prepared.spacing)
        return reference_reconstruct(network.to(where), guidance, rng, way.network == "bundled", where)
    runtime = model.runtime
    if way.network == "published":
        runtime = open_runtime({"reconstruction": untrained()}, device)
    return reconstructor(method_of(way, model), prepared, runtime, rng)


def seen(way: Way, model: Model, prepared: Prepared) -> tuple[int, ...]:
    """Sizes of what the network sees."""
    if way.reference or not method_of(way, model).crop:
        return prepared.image.shape
    return prepared.image[brain_crop(prepared.brain, prepared.divisor)].shape


def peak_of(way: Way, source: str, path: Path, device: str) -> int:
    """Largest memory of a process that makes two passes, in bytes."""
    model = load_model(source, device=device)
    prepared = place_scan(way, model, path)
    reconstruct = reconstruct_of(way, model, prepared, 0, device)
    for _ in range(2):
        reconstruct(prepared.image, prepared.brain)
    return peak_bytes()


def detect_default(model: Model, prepared: Prepared, seed: int = 0) -> Timed:
    """A whole detection by the default path, at the model's operating point."""
    started = time.perf_counter()
    found = model.method.detect(
        prepared, model.runtime, np.random.default_rng(seed), model.calibration["operating_point"]
    )
    seconds = time.perf_counter() - started
    return Timed(seconds, found.trace["curve_passes"] + 1, found.trace["passes"], found.mask)


def detect_reference(model: Model, prepared: Prepared, device: str) -> Timed:
    """A whole detection by the published procedure, at the model's operating point, which ends as the model ends it."""
    point = model.calibration["operating_point"]
    reconstruct = reconstruct_of(WAYS[0], model, prepared, 0, device)
    started = time.perf_counter()
    found = reference_detection(
        prepared.image,
        prepared.brain,
        reconstruct,
        point["gamma"],
        min_shrink=model.method.min_shrink,  # type: ignore[attr-defined]
        threshold_limit=point.get("threshold_limit", np.inf),
    )
    return Timed(time.perf_counter() - started, CURVE, found.passes - CURVE, found.mask)


def passes(model: Model, source: str, path: Path, rounds: int, device: str) -> str:
    """Table of seconds a pass, of all ways in turn, and a detection.

    The reference's detection is its passes times its seconds a pass: those of its curve, and as many of refinement as
    the default path makes.
    """
    prepared = {way: place_scan(way, model, path) for way in WAYS}
    calls: dict[str, Callable[[], Any]] = {}
    for way in WAYS:
        one, reconstruct = prepared[way], reconstruct_of(way, model, prepared[way], 0, device)
        calls[str(way)] = lambda reconstruct=reconstruct, one=one: reconstruct(one.image, one.brain)
    times = interleaved(calls, rounds)
    a_pass = {way: float(np.median(times[str(way)])) for way in WAYS}
    found = {way: [detect_default(model, prepared[way]) for _ in range(rounds)] for way in WAYS[1:3]}
    like = found[WAYS[1]][0]
    slowest, rows = 0.0, []
    for way in WAYS:
        if way in found:
            count, seconds = found[way][0].passes, float(np.median([one.seconds for one in found[way]]))
        else:
            count = (CURVE if way.reference else like.curve) + like.refinement
            seconds = count * a_pass[way]
        slowest = seconds if way.reference else slowest
        box = " × ".join(map(str, seen(way, model, prepared[way])))
        peak = fresh(peak_of, way, source, path, device) / MB
        figures = [f"{a_pass[way]:.3g}", f"{count}", f"{seconds:.3g}{'' if way in found else '*'}"]
        rows.append([way.network, way.label, box, *figures, f"{slowest / seconds:.0f} ×", f"{peak:.0f}"])
    return table(HEADER, rows)


def whole_references(model: Model, paths: list[Path], device: str) -> str:
    """Table of whole detections at 1 mm both ways, on several scans."""
    rows = []
    for path in paths:
        reference = detect_reference(model, place_scan(WAYS[0], model, path), device)
        default = detect_default(model, place_scan(WAYS[1], model, path))
        both = (reference, default)
        figures = [f"{one.seconds:.3g}" for one in both] + [f"{one.passes}" for one in both]
        rows.append([path.name.partition("_")[0], *figures, f"{reference.seconds / default.seconds:.0f} ×"])
    return table(("scan", "reference, s", "default path, s", "passes", "passes", "faster"), rows)


def run(chosen: argparse.Namespace) -> str:
    """The part's tables in Markdown."""
    paths = sorted((chosen.data / "oasis-t1").glob("*_T1w.nii.gz"))
    model = load_model(chosen.model, device=chosen.device)
    about = (
        f"Scan `{paths[0].name}`, model `{model.name}` ({model.runtime.description}); {machine()} Medians of "
        f"{chosen.rounds} passes of every way in turn, after one that is not counted. The published network has random "
        "weights and is only timed. *: passes × seconds a pass, with as many passes of refinement as the default path "
        "makes. Peak: memory of a process that makes two passes."
    )
    parts = [about, passes(model, chosen.model, paths[0], chosen.rounds, chosen.device)]
    if chosen.scans:
        note = "Whole detections with the bundled network at 1 mm, where its masks mean little; only the times count:"
        parts += [note, whole_references(model, paths[: chosen.scans], chosen.device)]
    return "\n\n".join(parts)
