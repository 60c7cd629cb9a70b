"""What a cohort run costs beside processing scans: seconds a scan, and memory from the first scan to the last.

    python benchmarks/cohort_overhead.py runs/overhead --scans 1000

Small made-up heads and a small untrained network, so that what surrounds the analysis stands out. Memory is read from
/proc while the run lasts (Linux).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

CARD = {
    "format_version": 2,
    "version": "0",
    "method": "itermask3d",
    "method_settings": {"steps": 5, "focused": False},
    "networks": {
        "reconstruction": {
            "name": "block-unet",
            "arguments": {"dims": 3, "in_channels": 3, "widths": [4, 8], "group_size": 4},
        }
    },
    "sequence": "T1w",
    "spacing": [6.0, 6.0, 6.0],
    "box": [16, 16, 16],
    "divisor": 4,
    "intensity_scale": {"low": 2.0, "high": 90.0, "background": -3.0},
    "calibration": {},
    "training": {},
    "data": {"name": "made"},
    "license": "CC0-1.0",
    "metrics": {},
}


def make_scans(folder: Path, count: int) -> None:
    """Ellipsoids of noise, each another."""
    folder.mkdir(parents=True)
    shape = (18, 20, 16)
    axes = np.meshgrid(*[np.linspace(-1.2, 1.2, size) for size in shape], indexing="ij")
    brain = sum(axis**2 for axis in axes) < 1
    for number in range(count):
        noise = np.random.default_rng(number).normal(100, 15, shape)
        image = nib.Nifti1Image(np.where(brain, noise, 0).astype(np.float32), np.diag([4.0, 5.0, 4.5, 1.0]))
        nib.save(image, folder / f"s{number:05d}_T1w.nii.gz")


def make_model(folder: Path) -> None:
    """A model of random weights."""
    import torch

    from itermask.models.folder import save_model
    from itermask.networks import build_network

    torch.manual_seed(0)
    spec = CARD["networks"]["reconstruction"]
    state = build_network(spec["name"], spec["arguments"]).state_dict()
    save_model(folder, {f"reconstruction.{key}": value for key, value in state.items()}, CARD)


def resident(process: int) -> int:
    """Memory that a process holds now, in bytes; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def children(process: int) -> list[int]:
    """A process's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def watch(process: subprocess.Popen, out: Path) -> list[tuple[int, int, int]]:
    """Finished scans, memory of the main process and of its largest child, every second or so."""
    samples = []
    while process.poll() is None:
        manifest = out / "manifest"
        done = len(list(manifest.iterdir())) if manifest.is_dir() else 0
        samples.append((done, resident(process.pid), max(map(resident, children(process.pid)), default=0)))
        time.sleep(1)
    return samples


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for scans and results; must not exist")
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(arguments)
    if chosen.out.exists():
        parser.error(f"{chosen.out}: exists already; choose another")
    make_scans(chosen.out / "scans", chosen.scans)
    make_model(chosen.out / "model")
    out = chosen.out / "results"
    command = [sys.executable, "-m", "itermask", "cohort", chosen.out / "scans", "--out", out, "--model"]
    command = [str(word) for word in (*command, chosen.out / "model", "--workers", chosen.workers)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    samples = watch(process, out)
    seconds = time.perf_counter() - started
    again = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    again = time.perf_counter() - again
    lines = [json.loads(line) for line in (out / "logs" / "run-1of1.jsonl").read_text().splitlines() if line]
    finished = [entry for entry in lines if entry.get("state") == "done"]
    analysing = np.median([sum(entry["timings"].values()) for entry in finished])
    whole = np.median([entry["seconds"] for entry in finished])
    beside = seconds * chosen.workers / chosen.scans - np.mean([entry["seconds"] for entry in finished])
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{len(finished)} of {chosen.scans} scans, {chosen.workers} workers, {machine}\n")
    rows = {
        "wall-clock seconds, a scan": f"{seconds:.0f}, {seconds / chosen.scans:.3f}",
        "a worker's seconds a scan (median)": f"{whole:.3f}; analysis {analysing:.3f}, the rest files and report",
        "seconds a scan beside the workers": f"{beside:.3f}",
        "a second run with nothing to do, seconds": f"{again:.1f}",
    }
    for share in (0.1, 0.25, 0.5, 0.75, 0.95):
        near = min(samples, key=lambda sample: abs(sample[0] - share * chosen.scans))
        rows[f"after {near[0]} scans: main process, largest worker, MB"] = f"{near[1] / 1e6:.0f}, {near[2] / 1e6:.0f}"
    print("\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]))


if __name__ == "__main__":
    main()
