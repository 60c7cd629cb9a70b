"""The card of a model that was just trained: what it is, what it learned from, and how."""

import hashlib
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from itermask import __version__
from itermask.models.card import FORMAT_VERSION
from itermask.models.folder import WEIGHTS, find_model, read_card
from itermask.training.loop import Trainer
from itermask.training.table import Entry


def make_card(trainer: Trainer, entries: list[Entry], sequence: str, about: dict[str, Any]) -> dict[str, Any]:
    """Return a model card without calibration.

    Args:
        trainer: after its last step.
        entries: the scans that were trained and validated on.
        sequence: of these.
        about: `name`, `source`, `data_license` of the data; `license` of the weights.
    """
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
        **({"sequences": list(trainer.method.takes)} if trainer.method.takes else {}),
        "spacing": list(grid.spacing),
        "box": list(grid.box),
        "divisor": grid.divisor,
        "intensity_scale": asdict(grid.scale),
        **({"slice_area": grid.slice_area} if grid.slices else {}),
        **({"align": True} if grid.align else {}),
        "calibration": {},
        "training": config.as_dict()
        | {
            "start_from": _origin(config.start_from),
            "processes": trainer.world,
            "number_format": str(trainer.dtype).removeprefix("torch."),
            "source_revision": _revision(),
        },
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
        "metrics": {} if trainer.optimizer is None else {"validation_loss": trainer.last_validation},
    }


def _origin(name: str) -> dict[str, str]:
    """Return which model the weights started from, without a path; empty if none."""
    if not name:
        return {}
    folder = find_model(name, None)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    return {"model": folder.name, "version": read_card(folder)["version"], "weights_sha256": digest}


def _revision() -> str:
    """Return Git revision of the source, where it is a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
