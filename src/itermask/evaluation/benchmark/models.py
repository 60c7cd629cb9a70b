"""The models that a benchmark compares: folders, or methods without networks straight from their settings."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from itermask import __version__
from itermask.errors import InputError
from itermask.evaluation.benchmark.plan import MethodSpec, Plan
from itermask.methods import build_method
from itermask.models.card import FORMAT_VERSION
from itermask.models.folder import CARD, WEIGHTS, Model, check_dims, find_model, load_model
from itermask.training.config import TrainingConfig, read_config


def digest(folder: Path) -> str:
    """Return which model this is: its weights, its settings and its calibration."""
    content = hashlib.sha256((folder / WEIGHTS).read_bytes())
    content.update((folder / CARD).read_bytes())
    return content.hexdigest()[:12]


class Models:
    """The models of a plan's methods; what is wrong with one is known before anything is processed.

    Args:
        plan: names them.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        InputError: a model or settings that cannot be used.
    """

    def __init__(self, plan: Plan, device: str = "auto") -> None:
        self.plan, self.device = plan, device
        self.folders = {spec.name: _find(plan, spec.model) for spec in plan.methods if spec.model}
        self.cards = {spec.name: _card(plan, spec) for spec in plan.methods if spec.config}
        self.digests = {name: digest(folder) for name, folder in self.folders.items()} | {
            name: hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:12]
            for name, (card, _) in self.cards.items()
        }
        self._load = lru_cache(maxsize=1)(load_model)  # methods come one after the other

    def model(self, spec: MethodSpec, sequence: str) -> Model:
        """Return the model of a method; one without networks takes any sequence."""
        if spec.model:
            return self._load(self.folders[spec.name], device=self.device)
        from itermask.runtime.choice import open_runtime

        card, config = self.cards[spec.name]
        method = build_method(card["method"], card["method_settings"])
        return Model(spec.name, card | {"sequence": sequence}, method, open_runtime({}, self.device), config.grid())


def _find(plan: Plan, name: str) -> Path:
    """Return a model's folder: relative to the settings file, or bundled."""
    beside = plan.path(name)
    return beside if (beside / CARD).is_file() else find_model(name, None)


def _card(plan: Plan, spec: MethodSpec) -> tuple[dict[str, Any], TrainingConfig]:
    """Return the card of an untrained, uncalibrated method without networks, and the settings behind it."""
    path = plan.path(spec.config)
    config = read_config(path)
    settings: Mapping[str, Any] = config.method_settings | dict(spec.settings or {})
    try:
        method = build_method(config.method, dict(settings))
        check_dims(method, config.grid())
    except ValueError as error:
        raise InputError(f"{path}: method {spec.name}: {error}") from error
    if method.network_specs():
        raise InputError(f"{path}: {config.method} has a network; train it and give its folder as model")
    grid = config.grid()
    card = {
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "method": config.method,
        "method_settings": method.settings(),
        "networks": {},
        "sequence": "any",
        "population": {"name": "any"},  # it has learned from nobody
        "spacing": list(grid.spacing),
        "box": list(grid.box),
        "divisor": grid.divisor,
        "intensity_scale": asdict(grid.scale),
        "slice_area": grid.slice_area,
        "align": grid.align,
        "calibration": {},
        "training": {},
        "data": {},
        "license": "",
        "metrics": {},
    }
    return card, config
