"""Growth: time and memory against the voxel size, and memory over many scans in one process."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from itermask.apps.cohort.memory import peak_bytes
from itermask.io.nifti import read_scan
from itermask.io.outputs import write_finding
from itermask.methods.itermask3d.detection import reconstructor
from itermask.models.folder import load_model
from itermask.pipeline import analyze
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import prepare
from itermask.types import Scan
from speed_parts.detection import grid_of
from speed_parts.measure import MB, fresh, machine, resident, table

SIZES = (3.0, 2.0, 1.5, 1.0)  # mm
SMALL = 4.0  # mm, of the many scans
REPORTED = (10, 50, 100, 200)


def at_size(name: str, path: Path, size: float, device: str) -> tuple[tuple[int, ...], float, int, int]:
    """Box, seconds of one detection after a first pass, its passes, and peak memory."""
    model = load_model(name, device=device)
    scan, _ = with_brain(read_scan(path, model.sequence))
    prepared, point = prepare(scan, grid_of(model, size)), model.calibration["operating_point"]
    reconstruct = reconstructor(model.method, prepared, model.runtime, np.random.default_rng(0))  # type: ignore[arg-type]
    reconstruct(prepared.image, prepared.brain)
    started = time.perf_counter()
    found = model.method.detect(prepared, model.runtime, np.random.default_rng(0), point)
    seconds = time.perf_counter() - started
    return prepared.image.shape, seconds, found.trace["curve_passes"] + 1 + found.trace["passes"], peak_bytes()


def small(path: Path, sequence: str) -> Scan:
    """A scan on voxels of `SMALL` mm with its brain mask, so that an analysis takes little time."""
    scan, _ = with_brain(read_scan(path, sequence))
    step = max(1, round(SMALL / scan.spacing[0]))
    assert scan.brain_mask is not None
    affine = scan.affine @ np.diag([step, step, step, 1.0])
    image, brain = (np.ascontiguousarray(one[::step, ::step, ::step]) for one in (scan.image, scan.brain_mask))
    return Scan(image, affine, sequence, brain, scan.name)


def many(name: str, paths: list[Path], count: int, device: str) -> list[tuple[int, int]]:
    """Memory in bytes after so many scans in one process; every analysis writes its files."""
    model = load_model(name, device=device)
    model = replace(model, grid=grid_of(model, SMALL))
    scans = [small(path, model.sequence) for path in paths]
    found = []
    with TemporaryDirectory() as out:
        for number in range(1, count + 1):
            scan = scans[number % len(scans)]
            write_finding(scan, analyze(scan, model), Path(out) / f"{number}")
            if number in REPORTED or number == count:
                found.append((number, resident()))
    return found


def run(chosen: argparse.Namespace) -> str:
    """The part's tables in Markdown."""
    paths = sorted((chosen.data / "oasis-t1").glob("*_T1w.nii.gz"))
    rows = []
    for size in chosen.sizes:
        shape, seconds, passes, peak = fresh(at_size, chosen.model, paths[0], size, chosen.device)
        voxels = np.prod(shape) / 1e6
        box = " × ".join(map(str, shape))
        figures = [f"{voxels:.2f}", f"{passes}", f"{seconds:.3g}", f"{1000 * seconds / passes / voxels:.0f}"]
        rows.append([f"{size:g}", box, *figures, f"{peak / MB:.0f}"])
    header = ("voxel, mm", "box", "million voxels", "passes", "s a detection", "ms a pass and million", "peak, MB")
    memory = fresh(many, chosen.model, paths, chosen.many, chosen.device)
    held = table(("after scan", "memory held, MB"), [[f"{number}", f"{held / MB:.0f}"] for number, held in memory])
    note = (
        f"{chosen.many} scans of {SMALL:g} mm in one process (the {len(paths)} of `oasis-t1` in turn), each with its "
        "files and report:"
    )
    about = f"Scan `{paths[0].name}`, model `{chosen.model}`, a fresh process for each voxel size; {machine()}"
    return "\n\n".join([about, table(header, rows), note, held])
