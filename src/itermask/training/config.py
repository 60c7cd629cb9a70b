"""Training settings: defaults in one place, changed by a TOML file."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from itermask.errors import InputError
from itermask.prepare.intensity import IntensityScale
from itermask.prepare.prepare import Grid
from itermask.training.augment import Augmentation


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. Every key can stand in the TOML file under its name.

    Attributes:
        method: name of the method.
        method_settings: its constructor arguments.
        networks: role → {name, arguments}, in place of the method's own networks.
        spacing, box, divisor, slice_area, align: the model's grid, see `itermask.prepare.prepare.Grid`.
        intensity: the model's intensity scale, see `itermask.prepare.intensity.IntensityScale`.
        start_from: model folder or bundled model whose weights training starts from; random weights if empty.
        steps: optimiser steps.
        batch: examples per step and process.
        learning_rate: after warm-up and until the decay.
        warmup: steps of linear warm-up.
        decay_share: last share of the steps, over which the rate falls linearly to 0.
        weight_decay: AdamW's.
        ema: decay of the moving average of the weights, which is what the model keeps.
        clip: largest gradient norm.
        precision: `bf16`, `fp32`, or `auto` (bf16 where the device computes it fast).
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
    batch: int = 1
    learning_rate: float = 1e-3
    warmup: int = 200
    decay_share: float = 0.4
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
        if min(self.steps, self.batch, self.validate_every, self.checkpoint_every) < 1:
            raise ValueError("steps, batch, validate_every and checkpoint_every must be at least 1")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"precision is auto, bf16 or fp32, not {self.precision!r}")
        self.grid()  # refuses what is no grid

    def grid(self) -> Grid:
        """The model's grid."""
        return Grid(self.spacing, self.box, self.divisor, self.intensity, self.slice_area, self.align)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the card and the checkpoint."""
        return asdict(self)

    def learning_rate_at(self, step: int) -> float:
        """Trapezoid: linear warm-up, constant, linear decay to 0 at `steps`."""
        rise = (step + 1) / max(1, self.warmup)
        fall = (self.steps - step) / max(1.0, self.decay_share * self.steps)
        return self.learning_rate * min(1.0, rise, fall)


def read_config(path: Path | None, **changes: Any) -> TrainingConfig:
    """Read a TOML file over the defaults.

    Raises:
        InputError: unreadable file, unknown key, or a value out of range.
    """
    values: dict[str, Any] = {}
    source = path or "training settings"
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text())
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not valid TOML ({error})") from error
    values |= {key: value for key, value in changes.items() if value is not None}
    known = {entry.name for entry in fields(TrainingConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"{source}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        if isinstance(values.get("augmentation"), dict):
            values["augmentation"] = Augmentation(**values["augmentation"])
        if isinstance(values.get("intensity"), dict):
            values["intensity"] = IntensityScale(**values["intensity"])
        for key in ("spacing", "box"):
            if key in values:
                values[key] = tuple(values[key])
        return TrainingConfig(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: {error}") from error
