"""PyTorch and OpenVINO in both number formats: seconds a pass and a scan, and how alike their masks are."""

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from itermask.io.nifti import read_scan
from itermask.models.folder import Model, load_model
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import prepare
from itermask.runtime.openvino_runtime import OpenVINORuntime
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.types import Prepared
from speed_parts.equality import dice
from speed_parts.measure import interleaved, machine, table

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
MOST_SCANS = 3  # scans whose masks are compared
HEADER = ("way", "s a pass", "first scan of a runtime, s", "a later scan, s", "Dice with PyTorch float32")


def open_ways(model: Model) -> dict[str, Any]:
    """Name → a new runtime with a copy of the model's networks."""
    plain = {role: network.cpu().float() for role, network in model.runtime.networks.items()}  # type: ignore[attr-defined]
    ways: dict[str, Any] = {}
    for name, dtype in DTYPES.items():
        ways[f"PyTorch {name}"] = TorchRuntime(copy.deepcopy(plain), "cpu", dtype)
        ways[f"OpenVINO {name}"] = OpenVINORuntime(copy.deepcopy(plain), dtype)
    return ways


def timed(model: Model, prepared: Prepared) -> tuple[float, np.ndarray]:
    """Seconds of a detection, and its mask."""
    started = time.perf_counter()
    found = model.method.detect(prepared, model.runtime, np.random.default_rng(0), model.calibration["operating_point"])
    return time.perf_counter() - started, found.mask


def run(chosen: argparse.Namespace) -> str:
    """The part's table in Markdown."""
    model = load_model(chosen.model, device="cpu")
    paths = sorted(Path(chosen.data / "oasis-t1").glob("*_T1w.nii.gz"))[:MOST_SCANS]
    scans = [prepare(with_brain(read_scan(path, model.sequence))[0], model.grid) for path in paths]
    models = {name: replace(model, runtime=runtime) for name, runtime in open_ways(model).items()}
    first = {name: timed(one, scans[0])[0] for name, one in models.items()}
    later: dict[str, list[float]] = {name: [] for name in models}
    masks: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for scan in scans:
        for name, one in models.items():
            seconds, mask = timed(one, scan)
            later[name].append(seconds)
            masks[name].append(mask)
    inputs = np.random.default_rng(0).standard_normal((3, *scans[0].image.shape)).astype(np.float32)
    calls = {name: lambda one=one: one.runtime("reconstruction", inputs) for name, one in models.items()}
    passes = interleaved(calls, chosen.rounds)
    rows = []
    for name in models:
        alike = [f"{dice(*pair):.2f}" for pair in zip(masks[name], masks["PyTorch float32"], strict=True)]
        times = (np.median(passes[name]), first[name], np.median(later[name]))
        rows.append([name, *[f"{seconds:.3g}" for seconds in times], ", ".join(alike)])
    about = (
        f"The {len(scans)} first scans of `oasis-t1`, model `{model.name}`, detection only; {chosen.rounds} passes of "
        f"every way in turn, medians; {machine()}"
    )
    return f"{about}\n\n{table(HEADER, rows)}"
