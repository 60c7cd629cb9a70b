"""Training settings: defaults in one place, changed by a preset, a TOML file and the command line, in this order."""

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from itermask.config.settings_file import check_ranges, checked, merged, read_toml
from itermask.prepare.grid import Grid
from itermask.prepare.intensity import IntensityScale
from itermask.presets import preset_path
from itermask.training.augment import Augmentation

PRECISIONS = ("auto", "bf16", "fp16", "fp32")


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. Every key can stand in the TOML file under its name.

    Attributes:
        method: name of the method.
        method_settings: its constructor arguments.
        networks: role → {name, arguments}, in place of the method's own networks.
        spacing, box, divisor, slice_area, align: the model's grid, see `itermask.prepare.grid.Grid`.
        intensity: the model's intensity scale, see `itermask.prepare.intensity.IntensityScale`.
        start_from: model folder or bundled model whose weights training starts from; random weights if empty.
        steps: optimiser steps; not counted where there are `epochs`.
        epochs: times that every training scan is seen, in place of `steps`; 0 counts steps.
        batch: examples per step and process.
        crop: edges in voxels of a window around a random voxel of the brain, which each example is cut to: steps are
            shorter, and more of them fit into the same time. 0 takes an axis whole. Group normalisation sees other
            shares of background then: end a training with whole examples.
        learning_rate: after warm-up and until the decay.
        warmup: steps of linear warm-up.
        decay_share: last share of the steps, over which the rate falls linearly to 0.
        drop_after: share of the steps after which the rate is multiplied by `drop_to`, as in IterMask3D's paper (from
            epoch 300 of 500 a tenth).
        drop_to: see `drop_after`.
        weight_decay: AdamW's.
        ema: decay of the moving average of the weights, which is what the model keeps; 0 keeps the last weights.
        clip: largest gradient norm; 0 does not limit it.
        precision: `bf16`, `fp16` (with scaled gradients, on CUDA), `fp32`, or `auto`: bf16 where the device computes it
            fast, fp16 on CUDA devices that do not, else fp32.
        workers: data-loading processes; 0 loads in the training process.
        validate_every, checkpoint_every: steps.
        seed: of everything random.
        augmentation: see `itermask.training.augment.Augmentation`.
    """

    method: str = "itermask3d"
    method_settings: dict[str, Any] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    box: tuple[int, int, int] = (80, 96, 80)
    divisor: int = 16
    slice_area: float = 0.0
    align: bool = False
    intensity: IntensityScale = field(default_factory=IntensityScale)
    start_from: str = ""
    steps: int = 20_000
    epochs: int = 0
    batch: int = 1
    crop: tuple[int, int, int] = (0, 0, 0)
    learning_rate: float = 1e-3
    warmup: int = 200
    decay_share: float = 0.4
    drop_after: float = 1.0
    drop_to: float = 0.1
    weight_decay: float = 1e-4
    ema: float = 0.999
    clip: float = 1.0
    precision: str = "auto"
    workers: int = 0
    validate_every: int = 500
    checkpoint_every: int = 500
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        check_ranges(
            self,
            positive="learning_rate",
            not_negative="epochs warmup weight_decay clip workers seed slice_area",
            shares="decay_share drop_after drop_to ema",
            counts="steps batch divisor validate_every checkpoint_every",
        )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, not {self.precision!r}"
            )
        for role, spec in self.networks.items():
            if not isinstance(spec, dict) or not isinstance(spec.get("name"), str) or set(spec) - {"name", "arguments"}:
                raise ValueError(
                    f"networks.{role} must have a name and may have arguments, and nothing else, not {spec!r}"
                )
            if not isinstance(spec.get("arguments", {}), dict):
                raise ValueError(f"networks.{role}.arguments must be a table of settings, not {spec['arguments']!r}")
        if self.augmentation.quarter_turns and self.box[0] != self.box[2]:
            raise ValueError(f"quarter turns need a box with equal first and third edges, not {self.box}")
        if any(edge < 0 or edge % self.divisor for edge in self.crop):
            raise ValueError(f"crop must be multiples of the divisor {self.divisor}, or 0, not {self.crop}")
        self.grid()  # refuses what is no grid

    def grid(self) -> Grid:
        """Return the model's grid."""
        return Grid(self.spacing, self.box, self.divisor, self.intensity, self.slice_area, self.align)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for the card and the checkpoint."""
        return asdict(self)

    def learning_rate_at(self, step: int) -> float:
        """Return the rate: linear warm-up, constant, linear decay to 0 at `steps`; and the drop after a share."""
        rise = (step + 1) / max(1, self.warmup)
        fall = (self.steps - step) / max(1.0, self.decay_share * self.steps)
        dropped = self.drop_to if self.drop_after < 1 and step >= self.drop_after * self.steps else 1.0
        return self.learning_rate * dropped * min(1.0, rise, fall)

    def for_scans(self, scans: int, processes: int = 1) -> "TrainingConfig":
        """Return the settings for a number of training scans: epochs, where they are given, as steps.

        >>> TrainingConfig(epochs=500, batch=2).for_scans(100).steps
        25000

        Args:
            scans: that are trained on.
            processes: that train one model together.
        """
        if not self.epochs:
            return self
        return replace(self, steps=max(1, math.ceil(self.epochs * scans / (self.batch * processes))))


def read_config(path: Path | None, preset: str | None = None, **changes: Any) -> TrainingConfig:
    """Return a preset's settings, with a TOML file and single changes over them; the rest are defaults.

    >>> read_config(None, preset="itermask3d-published").box
    (192, 192, 192)

    Args:
        path: TOML file; None without.
        preset: name, see `itermask.presets`; None without.
        changes: settings by name; None leaves one as it is.

    Raises:
        InputError: unreadable file, unknown preset or setting, a value of another type or out of range.
    """
    values: dict[str, Any] = {}
    if preset is not None:
        values = read_toml(preset_path(preset))
    if path is not None:
        values = merged(values, read_toml(Path(path)))
    values |= {key: value for key, value in changes.items() if value is not None}
    if "steps" in changes and changes["steps"] is not None:
        values["epochs"] = 0
    source = path or (f"preset {preset}" if preset else "training settings")
    return checked(TrainingConfig, values, str(source))
