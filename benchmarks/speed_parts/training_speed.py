"""Training: samples a second of the data path against the published loop's way, and of the network's steps."""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from itermask.io.nifti import read_scan
from itermask.methods.reference.itermask3d import reference_guidance
from itermask.models.folder import load_model
from itermask.prepare.brain import with_brain
from itermask.prepare.grid import Grid
from itermask.prepare.prepare import prepare
from itermask.training.cache import cached_volume, read_volume
from itermask.training.config import TrainingConfig
from itermask.training.loop import Examples, Trainer
from itermask.training.table import Entry
from itermask.types import TrainingVolume
from speed_parts.measure import interleaved, machine, table

POINTS = 100_000


def point_cloud_mask(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The published training mask: every coarse voxel is hidden that one of 100 000 Gaussian points falls into.

    Source: `itermask3d.md`, "Training".

    Args:
        brain: boolean brain mask.
        rng: random generator.

    Returns:
        boolean mask inside the brain.
    """
    factor = int(rng.choice([4, 2, 8], p=[0.5, 0.25, 0.25]))
    shape = [-(-size // factor) for size in brain.shape]
    inside = np.argwhere(brain)
    centre = inside[rng.integers(len(inside))] // factor
    rotation, _ = np.linalg.qr(rng.standard_normal((brain.ndim, brain.ndim)))
    covariance = rotation @ np.diag(rng.uniform(0.3, 10.0, brain.ndim)) @ rotation.T
    points = np.rint(rng.multivariate_normal(centre, covariance, POINTS)).astype(int)
    points = points[((points >= 0) & (points < shape)).all(axis=1)]
    coarse = np.zeros(shape, dtype=bool)
    coarse[tuple(points.T)] = True
    for axis in range(brain.ndim):
        coarse = coarse.repeat(factor, axis=axis)
    return coarse[tuple(slice(size) for size in brain.shape)] & brain


def published_example(volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One training example the published way: a point cloud and a full Fourier transform for each."""
    image = volume.images[0]
    hidden = point_cloud_mask(volume.brain, rng)
    guidance = reference_guidance(image, volume.spacing)
    noise = rng.standard_normal(image.shape).astype(np.float32)
    return {"input": np.stack([np.where(hidden, noise, image), guidance]), "target": image[None]}


def forever(make: Callable[[int], Any]) -> Callable[[], Any]:
    """A call that makes one example after the other."""
    numbers: Iterator[int] = iter(range(2**62))
    return lambda: make(next(numbers))


def steps_a_second(config: TrainingConfig, paths: list[Path], out: Path) -> float:
    """Training steps of one example a second, data included, as `itermask train` makes them."""
    trainer = Trainer(config, config.grid(), out, "auto")
    times: list[float] = []
    trainer.fit(paths, paths[:1], lambda step, steps, loss: times.append(time.perf_counter()))
    return 1 / float(np.median(np.diff(times)))


def run(chosen: argparse.Namespace) -> str:
    """The part's table in Markdown."""
    path = sorted((chosen.data / "oasis-t1").glob("*_T1w.nii.gz"))[0]
    model = load_model(chosen.model, device=chosen.device)
    scan, _ = with_brain(read_scan(path, model.sequence))
    grids = {"2 mm": model.grid, "1 mm": Grid((1.0, 1.0, 1.0), (192, 192, 192), scale=model.grid.scale)}
    rows = []
    with TemporaryDirectory() as temporary:
        for name, grid in grids.items():
            prepared = prepare(scan, grid)
            volume = TrainingVolume(prepared.image[None], prepared.brain, prepared.spacing)
            cache = cached_volume(Entry(path, None, "train", "one"), model.sequence, grid, Path(temporary) / "cache")
            config = TrainingConfig(spacing=grid.spacing, box=grid.box, steps=chosen.rounds + 2, intensity=grid.scale)
            examples = Examples(model.method, [cache], grid, config)
            ways: dict[str, Callable[[], Any]] = {
                "published: point cloud, full transform": forever(
                    lambda n, volume=volume: published_example(volume, np.random.default_rng(n))
                ),
                "here: mask and guidance": forever(
                    lambda n, volume=volume: model.method.example(volume, np.random.default_rng(n))
                ),
                "here: with reading and augmentation": forever(lambda n, examples=examples: examples[n]),
                "reading alone": lambda cache=cache, grid=grid: read_volume(cache, grid),
            }
            seconds = {way: float(np.mean(times)) for way, times in interleaved(ways, 4 * chosen.rounds).items()}
            slowest = next(iter(seconds.values()))
            rows += [[name, way, f"{1 / one:.3g}", f"{slowest / one:.1f} ×"] for way, one in seconds.items()]
            if name == "2 mm":
                rate = steps_a_second(config, [cache], Path(temporary) / name)
                rows.append([name, "the network's steps, data included", f"{rate:.3g}", ""])
    about = f"One scan of `oasis-t1`, one process without data workers, batch 1; {machine()}"
    return f"{about}\n\n{table(('voxel', 'way', 'samples a second', 'against the published way'), rows)}"
