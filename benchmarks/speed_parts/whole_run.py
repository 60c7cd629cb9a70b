"""The whole command `itermask run` as a fresh process: seconds, memory, stages, and how far each is from its floor."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from itermask.io.nifti import read_scan
from itermask.models.folder import Model, load_model
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import prepare
from speed_parts.detection import plain_network
from speed_parts.measure import MB, Launched, disk_rates, flops, launch, machine, matmul_rate, spread, table

WALL = {"stripped": 6.0, "with deepbet": 14.0}  # seconds on two cores: the targets
PEAK = 2000.0  # MB
COUNTS = ("passes", "written")  # what a run tells beside its seconds: network passes, and bytes of its files


def scans(data: Path) -> dict[str, Path]:
    """A stripped scan of 1 mm, and a whole head of 1 mm."""
    return {
        "stripped": sorted((data / "oasis-t1").glob("*_T1w.nii.gz"))[0],
        "with deepbet": data / "dicom" / "mprage-siemens",
    }


def command(path: Path, out: Path, model: str, device: str) -> list[Any]:
    """`itermask run`, without files for viewers of DICOM, which a NIfTI scan does not get either."""
    extra = ["--no-dicom"] if path.is_dir() else []
    return [sys.executable, "-m", "itermask", "run", path, out, "--model", model, "--device", device, *extra]


def stages(path: Path, out: Path, model: str, device: str) -> dict[str, float]:
    """Seconds by stage of a run in a fresh process, and `COUNTS`."""
    arguments = [sys.executable, Path(__file__).with_name("stages.py"), path, out, model, device]
    return json.loads(subprocess.run(list(map(str, arguments)), stdout=subprocess.PIPE, check=True, text=True).stdout)


def floors(path: Path, model: Model, counts: dict[str, float], folder: Path) -> dict[str, tuple[str, float]]:
    """What a stage must at least do, in words, and the seconds that this machine needs for it.

    Bytes over the disk's rate, and the network's FLOPs over the rate of a matrix product in the runtime's format.
    """
    import torch

    reading, writing = disk_rates(folder)
    files = [path] if path.is_file() else list(path.iterdir())
    size = sum(file.stat().st_size for file in files)
    scan, _ = with_brain(read_scan(path, model.sequence))
    shape = prepare(scan, model.grid).image.shape
    channels = 3 if model.method.settings()["mask_channel"] else 2
    work = counts["passes"] * flops(plain_network(model), channels, shape)
    dtype = torch.bfloat16 if "bf" in model.runtime.description else torch.float32
    rate = matmul_rate(dtype)
    name = str(dtype).removeprefix("torch.")
    return {
        "read": (f"{size / MB:.1f} MB at {reading / MB:.0f} MB/s", size / reading),
        "detect": (f"{work / 1e9:.0f} GFLOP at {rate / 1e9:.0f} GFLOP/s ({name})", work / rate),
        "write, report": (f"{counts['written'] / MB:.1f} MB at {writing / MB:.0f} MB/s", counts["written"] / writing),
    }


def by_stage(runs: list[dict[str, float]], lowest: dict[str, tuple[str, float]], whole: float) -> str:
    """Table of the stages, with what each must at least do; `whole` is the fastest command's seconds."""
    rows, rest = [], whole
    for stage in (name for name in runs[0] if name not in COUNTS):
        seconds = [one[stage] for one in runs]
        arguments, floor = lowest.get(stage, ("", np.nan))
        known = [f"{floor:.3f}", f"{np.median(seconds) / floor:.1f} ×"] if floor > 0 else ["", ""]
        rows.append([stage, spread(seconds), arguments, *known])
        rest -= min(seconds)
    rows.append(["start and end of the process, in the fastest runs", f"{rest:.2f}", "", "", ""])
    return table(("stage", "seconds", "at least", "floor, s", "above the floor"), rows)


def row(name: str, runs: list[Launched]) -> list[str]:
    """A line of the table of whole runs, with the targets."""
    walls, peak = [one.wall for one in runs], max(one.peak for one in runs) / MB
    met = "met" if np.median(walls) <= WALL[name] and peak <= PEAK else "missed"
    target = f"≤ {WALL[name]:g} s, ≤ {PEAK:g} MB: {met}"
    return [name, spread(walls), spread([one.processor for one in runs]), f"{peak:.0f}", target]


def run(chosen: argparse.Namespace) -> str:
    """The part's tables in Markdown."""
    model = load_model(chosen.model, device=chosen.device)
    about = f"Model `{model.name}` ({model.runtime.description}); {machine()}"
    paths, detail, helps = scans(chosen.data), [], []
    wholes: dict[str, list[Launched]] = {name: [] for name in paths}
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "out"
        for _ in range(chosen.repeats):
            for name, path in paths.items():
                wholes[name].append(launch(command(path, out, chosen.model, chosen.device)))
            detail.append(stages(paths["stripped"], out, chosen.model, chosen.device))
            helps.append(launch([sys.executable, "-m", "itermask", "--help"]).wall)
        lowest = floors(paths["stripped"], model, detail[0], Path(temporary))
    rows = [row(name, runs) for name, runs in wholes.items()]
    note = (
        f"Median of {chosen.repeats} fresh processes, the fastest in brackets. `itermask --help` takes {spread(helps)} "
        "s. Stages of the stripped scan, from another run right after each:"
    )
    whole = table(("scan", "seconds", "processor seconds", "peak, MB", "target"), rows)
    return "\n\n".join([about, whole, note, by_stage(detail, lowest, min(one.wall for one in wholes["stripped"]))])
