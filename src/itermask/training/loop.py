"""The training loop: any method, one process or many, resumable to the bit.

Everything random in step `s` follows from (seed, s), never from what ran before, so a run that was
interrupted and resumed gives the weights of one that was not.
"""

import contextlib
import csv
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from itermask.config.settings_file import merged
from itermask.errors import InputError
from itermask.methods import Method, TrainingVolume, build_method
from itermask.models.folder import check_dims, find_model, load_networks, read_card
from itermask.networks import build_network
from itermask.prepare.grid import Grid
from itermask.runtime.device import pick_device, training_dtype
from itermask.training.cache import read_volume
from itermask.training.checkpoint import load_checkpoint, save_checkpoint
from itermask.training.config import TrainingConfig
from itermask.training.panel import Panel
from itermask.training.stopping import StopRequest, TrainingStopped

VALIDATION_SEED = 2**31 - 1  # validation examples are the same in every run and at every step


class Examples(Dataset[dict[str, np.ndarray]]):
    """Training examples by global number: example `n` is the same whoever asks and whenever."""

    def __init__(self, method: Method, paths: list[Path], grid: Grid, config: TrainingConfig) -> None:
        self.method, self.paths, self.grid, self.config = method, paths, grid, config

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        epoch, index = divmod(number, len(self.paths))
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.paths))
        rng = np.random.default_rng([self.config.seed, number, 1])
        volume = self.config.augmentation(read_volume(self.paths[order[index]], self.grid), rng)
        return cropped(self.method.example(volume, rng), volume.brain, self.config.crop, rng)


def cropped(
    example: dict[str, np.ndarray], brain: np.ndarray, crop: tuple[int, ...], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Cut a training example to a window around a random voxel of the brain.

    Args:
        example: arrays; those whose last axes are the brain's are cut, the others kept.
        brain: boolean brain mask, not empty.
        crop: edges of the window in voxels; 0, or more than the volume has, takes an axis whole.
        rng: random generator; not used where nothing is cut.

    Example:
        >>> brain = np.ones((8, 8, 8), bool)
        >>> made = cropped({"input": np.zeros((2, 8, 8, 8))}, brain, (4, 0, 6), np.random.default_rng(0))
        >>> made["input"].shape
        (2, 4, 8, 6)
    """
    if not any(crop):
        return example
    centre = np.unravel_index(rng.choice(np.flatnonzero(brain)), brain.shape)
    window: list[Any] = [...]
    for size, edge, middle in zip(brain.shape, crop, centre, strict=True):
        edge = min(edge or size, size)
        start = int(np.clip(middle - edge // 2, 0, size - edge))
        window.append(slice(start, start + edge))
    axes = brain.ndim
    return {
        key: np.ascontiguousarray(value[tuple(window)]) if value.shape[-axes:] == brain.shape else value
        for key, value in example.items()
    }


class Trainer:
    """One training run in the folder `out`: networks, optimiser, step count. A method without networks makes no step.

    Started by `torchrun`, every process holds one and they train one model together. Raises `InputError` where
    the settings name a method or network that cannot be built, or a grid that the networks cannot take.
    """

    def __init__(self, config: TrainingConfig, grid: Grid, out: Path, device: str = "auto") -> None:
        self.config, self.grid, self.out = config, grid, out
        self.rank, self.world, self.device = _join(device)
        torch.manual_seed(config.seed)
        try:
            self.method = build_method(config.method, config.method_settings)
            check_dims(self.method, grid)
            self.specs = self.method.network_specs()
            unknown = sorted(set(config.networks) - set(self.specs))
            if unknown:
                raise ValueError(f"the method {config.method!r} trains no network {', '.join(map(repr, unknown))}")
            self.specs |= {
                role: (str(spec["name"]), dict(spec.get("arguments", {}))) for role, spec in config.networks.items()
            }
            self.networks = nn.ModuleDict(
                {role: build_network(name, arguments) for role, (name, arguments) in self.specs.items()}
            )
        except (ValueError, KeyError) as error:
            raise InputError(f"training settings: {error}") from error
        for role, network in self.networks.items():
            axes = {parameter.ndim - 2 for parameter in network.parameters() if parameter.ndim in (4, 5)}
            if axes - {self.method.dims}:
                raise InputError(
                    f"training settings: the network {role!r} works on {max(axes)} axes, the method on "
                    f"{self.method.dims}; set dims in its arguments"
                )
            divisor = int(getattr(network, "divisor", 1))
            sizes = grid.box[: self.method.dims]  # slices are of the first two axes
            if any(size % divisor for size in (*sizes, grid.divisor)):
                raise InputError(
                    f"training settings: box {sizes} and divisor {grid.divisor} must be multiples of {divisor} "
                    f"for the network {role!r}"
                )
        if config.start_from:
            self._start_from(find_model(config.start_from, None))
        self.networks.to(self.device)
        layout = torch.channels_last_3d if self.method.dims == 3 else torch.channels_last
        self.networks.to(memory_format=layout)  # type: ignore[call-overload]
        self.dtype = training_dtype(config.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.average = {key: value.detach().clone() for key, value in self.networks.state_dict().items()}
        parameters = list(self.networks.parameters())
        self.optimizer = (
            torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
            if parameters
            else None
        )
        self.step = 0
        self.last_validation = float("nan")

    def _start_from(self, folder: Path) -> None:
        """Take the weights of a trained model with the same networks."""
        for role, network in load_networks(folder, read_card(folder)).items():
            try:
                self.networks[role].load_state_dict(network.state_dict())
            except (KeyError, RuntimeError) as error:
                raise InputError(
                    f"{folder}: its networks differ from those to be trained; train from scratch"
                ) from error

    @property
    def checkpoint(self) -> Path:
        """Where this run keeps its state."""
        return self.out / "checkpoint.safetensors"

    def resume(self) -> bool:
        """Continue from the checkpoint, if there is one.

        Raises:
            InputError: it was written with other settings (the number of steps may differ).
        """
        if not self.checkpoint.exists():
            return False
        if self.optimizer is None:
            raise InputError(f"{self.checkpoint}: belongs to another method; use another --out")
        about = load_checkpoint(self.checkpoint, self.networks, self.average, self.optimizer)
        # A setting that was not yet there when the checkpoint was written had its default.
        usual = json.loads(json.dumps(TrainingConfig().as_dict()))
        own, written = self._identity(), merged(usual, about["config"])
        defaults = json.loads(json.dumps(build_method(self.config.method).settings()))
        known = {key: defaults[key] for key in own["method_settings"]}
        written["method_settings"] = known | written["method_settings"]
        settled = {key: value for key, value in own.items() if written.get(key) != value}
        if settled:
            raise InputError(
                f"{self.checkpoint}: trained with other settings ({', '.join(settled)}); use another --out"
            )
        self.step = int(about["step"])
        if self.scaler.is_enabled() and about.get("scaler"):
            self.scaler.load_state_dict(about["scaler"])
        self.last_validation = float(about.get("validation_loss") or "nan")
        return True

    def _identity(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share."""
        free = {"steps", "crop", "workers", "validate_every", "checkpoint_every", "decay_share"}
        method = {key: value for key, value in self.method.settings().items() if key not in self.method.test_time}
        described = self.config.as_dict() | {"world": self.world, "method_settings": method}
        plain = {key: value for key, value in described.items() if key not in free}
        return json.loads(json.dumps(plain))  # tuples are lists in the checkpoint

    def save(self) -> None:
        """Write the checkpoint (first process only)."""
        if self.rank == 0 and self.optimizer is not None:
            loss = self.last_validation if np.isfinite(self.last_validation) else None
            about = {"step": self.step, "config": self._identity(), "validation_loss": loss}
            about |= {"scaler": self.scaler.state_dict()}  # empty but for float16
            save_checkpoint(self.checkpoint, self.networks, self.average, self.optimizer, about)

    def batches(self, paths: list[Path]) -> Iterator[dict[str, Tensor]]:
        """Yield this process's share of every remaining step's batch."""
        size = self.config.batch
        total = size * self.world
        numbers = [
            [step * total + self.rank * size + item for item in range(size)]
            for step in range(self.step, self.config.steps)
        ]
        loader: DataLoader[Any] = DataLoader(
            Examples(self.method, paths, self.grid, self.config),
            batch_sampler=numbers,
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
        )
        yield from loader

    def fit(
        self, train: list[Path], validation: list[Path], progress: Any = None, stop: StopRequest | None = None
    ) -> None:
        """Train until `config.steps`, validating and checkpointing on the way; nothing to do without networks.

        Args:
            train: prepared scans to learn from, see `itermask.training.cache`.
            validation: prepared scans to validate on.
            progress: called with (step, steps, loss) after every step.
            stop: checked after every step; if one is wanted, the checkpoint is written first.

        Raises:
            TrainingStopped: a stop was wanted before the last step; it says how to go on.
        """
        if self.optimizer is None:
            return
        logs = Logs(self.out, self.step) if self.rank == 0 else None
        forward: nn.Module = _Loss(self.method, self.networks)
        if self.world > 1:
            forward = nn.parallel.DistributedDataParallel(forward)
        panel = Panel(self.method, self.networks, self.device, self.grid.divisor, self.dtype)
        recent, started = [], time.perf_counter()
        for batch in self.batches(train):
            recent.append(self._one_step(forward, self.optimizer, batch))
            self.step += 1
            if progress is not None:
                progress(self.step, self.config.steps, recent[-1])
            last = self.step == self.config.steps
            if last or self.step % self.config.validate_every == 0:
                self.last_validation = self.validate(validation)
                if logs is not None:
                    interval = time.perf_counter() - started
                    seconds = interval / len(recent)
                    logs.write(
                        self.step,
                        {
                            "loss": float(np.mean(recent)),
                            "validation_loss": self.last_validation,
                            "seconds_per_step": seconds,
                        },
                    )
                    if logs.board is not None and validation:
                        drawn = panel.draw(self.average, read_volume(validation[0], self.grid), interval)
                        logs.show(self.step, drawn)
                recent, started = [], time.perf_counter()
            number = 0 if stop is None or last else self._agreed(stop.wanted)
            if last or number or self.step % self.config.checkpoint_every == 0:
                self.save()
            if number:
                if logs is not None:
                    logs.close()
                raise TrainingStopped(
                    number,
                    f"stopped after step {self.step} of {self.config.steps}; the checkpoint is written, "
                    "and the same command resumes it",
                )
        if logs is not None:
            logs.close()

    def _one_step(self, forward: nn.Module, optimizer: torch.optim.Optimizer, batch: dict[str, Tensor]) -> float:
        for group in optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(self.step)
        torch.manual_seed(self.config.seed * 1_000_003 + self.step * self.world + self.rank)  # dropout
        self.networks.train()
        optimizer.zero_grad(set_to_none=True)
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
        with self._autocast():
            loss = forward(batch)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.networks.parameters(), self.config.clip)
        self.scaler.step(optimizer)
        self.scaler.update()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.networks.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - decay)
                else:
                    self.average[key].copy_(value)
        return float(loss.detach())

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def validate(self, paths: list[Path], examples: int = 2) -> float:
        """Return the averaged weights' mean loss on fixed validation examples, shared among processes."""
        trained = {key: value.clone() for key, value in self.networks.state_dict().items()}
        self.networks.load_state_dict(self.average)
        self.networks.eval()
        losses = []
        for number, path in list(enumerate(paths))[self.rank :: self.world]:
            volume: TrainingVolume = read_volume(path, self.grid)
            for draw in range(examples):
                example = self.method.example(volume, np.random.default_rng([VALIDATION_SEED, number, draw]))
                batch = {key: torch.from_numpy(value)[None].to(self.device) for key, value in example.items()}
                with self._autocast():
                    losses.append(float(self.method.loss(self.networks, batch)))  # type: ignore[arg-type]
        self.networks.load_state_dict(trained)
        total = torch.tensor([sum(losses), len(losses)], dtype=torch.float64)
        if self.world > 1:
            total = total.to(self.device)
            dist.all_reduce(total)
        return float(total[0] / total[1])

    def _agreed(self, wanted: int) -> int:
        """Return the signal that any process of a distributed run has got, or 0, so that all stop after one step."""
        if self.world == 1:
            return wanted
        told = torch.tensor([wanted], device=self.device)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return int(told[0])

    def wait(self) -> None:
        """Wait until every process of a distributed run has come here."""
        if self.world > 1:
            dist.barrier()

    def leave(self) -> None:
        """Leave the process group of a distributed run, once all are done."""
        if self.world > 1:
            dist.barrier()
            dist.destroy_process_group()


class _Loss(nn.Module):
    """The method's loss as a module's forward pass, so that distributed training can wrap it."""

    def __init__(self, method: Method, networks: nn.ModuleDict) -> None:
        super().__init__()
        self.method, self.networks = method, networks

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.method.loss(self.networks, batch)  # type: ignore[arg-type]


class Logs:
    """`log.csv`, and TensorBoard's event files where the extra is installed."""

    def __init__(self, out: Path, step: int) -> None:
        self.path = out / "log.csv"
        self._forget_after(step)
        self.board = None
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def _forget_after(self, step: int) -> None:
        """Drop the rows that an interrupted run wrote after the checkpoint it is resumed from."""
        if self.path.exists():
            header, *rows = self.path.read_text().splitlines(keepends=True)
            self.path.write_text("".join([header, *(row for row in rows if int(row.split(",")[0]) <= step)]))

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append one row."""
        fresh = not self.path.exists()
        with open(self.path, "a", newline="") as target:
            writer = csv.writer(target)
            if fresh:
                writer.writerow(["step", *values])
            writer.writerow([step, *[f"{value:.6g}" for value in values.values()]])
        if self.board is not None:
            for key, value in values.items():
                self.board.add_scalar(key, value, step)

    def show(self, step: int, picture: np.ndarray | None) -> None:
        """Give TensorBoard a picture of a validation scan, see `itermask.training.panel`."""
        if self.board is not None and picture is not None:
            self.board.add_image("validation scan, expectation, error, mask", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Flush what is still in memory."""
        if self.board is not None:
            self.board.close()


def _join(device: str) -> tuple[int, int, torch.device]:
    """Return rank, number of processes and device of this process; joins torchrun's group if there is one."""
    chosen = pick_device(device)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1, chosen
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return dist.get_rank(), world, chosen
