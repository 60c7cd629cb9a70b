"""From a table of normal scans to a calibrated model folder."""

import hashlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from itermask import __version__
from itermask.errors import InputError
from itermask.models.card import FORMAT_VERSION
from itermask.models.folder import load_model, save_model
from itermask.prepare.prepare import Grid
from itermask.training.cache import cached_volume, prepare_entry
from itermask.training.calibration import HealthyScan, calibrate, calibration_metrics
from itermask.training.config import TrainingConfig
from itermask.training.loop import Trainer
from itermask.training.table import Entry, read_data

Report = Callable[[str, float], None]


def train_model(
    data: Path,
    sequence: str,
    out: Path,
    config: TrainingConfig,
    device: str = "auto",
    about: dict[str, Any] | None = None,
    report: Report | None = None,
) -> Path:
    """Train on the `train` scans, calibrate on the `val` scans, write the model folder.

    An interrupted run is continued when called again with the same arguments.

    Args:
        data: table or BIDS tree, see `itermask.training.table`.
        sequence: what to train on.
        out: the model folder; it also keeps the checkpoint, logs and cache.
        config: settings.
        device: `auto`, `cpu`, `cuda` or `mps`.
        about: `name`, `source`, `license` of the data, for the card; `license` of the weights.
        report: called with (stage, share done).

    Returns:
        the model folder.

    Raises:
        InputError: the data, settings or an earlier checkpoint cannot be used.
    """
    report = report or (lambda stage, share: None)
    grid = Grid(config.spacing, config.box, config.divisor)
    entries = read_data(data, sequence)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, grid, out, device)
    prepared = _prepare_all(entries, sequence, grid, out / "cache", trainer, report)
    trainer.resume()
    trainer.fit(
        prepared["train"], prepared["val"], lambda step, steps, loss: report(f"training, loss {loss:.3f}", step / steps)
    )
    if trainer.rank == 0:
        finish(trainer, entries, sequence, device, about or {}, report)
    trainer.leave()
    return out


def _prepare_all(
    entries: list[Entry], sequence: str, grid: Grid, cache: Path, trainer: Trainer, report: Report
) -> dict[str, list[Path]]:
    """Paths of the prepared scans by split; the processes of a distributed run share the work."""
    wanted = [entry for entry in entries if entry.split in ("train", "val")]
    for number, entry in list(enumerate(wanted))[trainer.rank :: trainer.world]:
        cached_volume(entry, sequence, grid, cache)
        report("preparing scans", (number + 1) / len(wanted))
    trainer.wait()
    prepared: dict[str, list[Path]] = {"train": [], "val": []}
    for entry in wanted:
        prepared[entry.split].append(cached_volume(entry, sequence, grid, cache))
    return prepared


def finish(
    trainer: Trainer, entries: list[Entry], sequence: str, device: str, about: dict[str, Any], report: Report
) -> None:
    """Write the trained weights, calibrate with them as they are on disk, write the card."""
    card = make_card(trainer, entries, sequence, about)
    save_model(trainer.out, trainer.average, card)
    model = load_model(trainer.out, device=device)
    healthy = [entry for entry in entries if entry.split == "val"]
    scans = [HealthyScan(prepare_entry(entry, sequence, trainer.grid), entry.subject) for entry in healthy]
    started = time.perf_counter()
    try:
        card["calibration"] = calibrate(model, scans, report)
    except ValueError as error:
        raise InputError(f"{trainer.out}: {error}; the weights are saved, but not calibrated") from error
    card["calibration"]["seconds"] = round(time.perf_counter() - started, 1)
    card["metrics"] |= calibration_metrics(card["calibration"])
    save_model(trainer.out, trainer.average, card)


def make_card(trainer: Trainer, entries: list[Entry], sequence: str, about: dict[str, Any]) -> dict[str, Any]:
    """A model card without calibration."""
    config, grid = trainer.config, trainer.grid
    counts = {split: len({e.subject for e in entries if e.split == split}) for split in ("train", "val")}
    listing = "\n".join(sorted(f"{entry.split} {entry.subject} {entry.path.name}" for entry in entries))
    return {
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "method": config.method,
        "method_settings": trainer.method.settings(),
        "networks": {role: {"name": name, "arguments": arguments} for role, (name, arguments) in trainer.specs.items()},
        "sequence": sequence,
        "spacing": list(grid.spacing),
        "box": list(grid.box),
        "divisor": grid.divisor,
        "intensity_scale": asdict(grid.scale),
        "calibration": {},
        "training": config.as_dict() | {"processes": trainer.world, "source_revision": _revision()},
        "data": {
            "name": about.get("name", "unnamed"),
            "source": about.get("source", ""),
            "license": about.get("data_license", "unknown"),
            "train_subjects": counts["train"],
            "validation_subjects": counts["val"],
            "listing_sha256": hashlib.sha256(listing.encode()).hexdigest(),
        },
        "license": about.get("license", "unknown"),
        "intended_use": "Research only; not a medical device and not a diagnosis.",
        "metrics": {"validation_loss": trainer.last_validation},
    }


def _revision() -> str:
    """Git revision of the source, where it is a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
