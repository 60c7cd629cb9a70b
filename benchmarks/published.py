"""The published configurations, built as their presets say and trained for a few steps at their full size.

    python benchmarks/published.py --insert docs/reproduction.md

Of every preset whose name ends in `-published`: parameters and FLOPs of a pass beside what the papers' pages state,
and seconds and memory of training steps on noise in the preset's whole box. Each is trained in a process of its own, so
that its memory can be told, and one that the machine cannot hold does not end the others.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from speed_parts.measure import machine, table

from itermask.evaluation.benchmark.write import between_marks
from itermask.methods import Method, TrainingVolume, build_method
from itermask.networks import build_network
from itermask.presets import presets
from itermask.training.config import TrainingConfig, read_config

NAME = "published"
STATED = {("itermask3d-published", "reconstruction"): "8.90 M"}  # parameters, on the methods' pages
THICK = 5.0  # mm between slices, for models that take a scan's own


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=published(), help="presets; else all")
    parser.add_argument("--steps", type=int, default=2, help="training steps of each; 0 trains none")
    parser.add_argument("--batch", type=int, help="examples a step in place of the preset's")
    parser.add_argument("--insert", type=Path, help="document with marks; else the text is printed")
    parser.add_argument("--train", help=argparse.SUPPRESS)  # this process trains this preset
    chosen = parser.parse_args(arguments)
    if chosen.train:
        print(json.dumps(trained(chosen.train, chosen.steps, chosen.batch)))
        return
    text = run(chosen)
    if chosen.insert:
        between_marks(chosen.insert, NAME, text)
    else:
        print(text)


def published() -> list[str]:
    return [name for name in presets() if name.endswith("-published")]


def run(chosen: argparse.Namespace) -> str:
    rows = []
    for name in chosen.only or published():
        told = in_its_own_process(name, chosen) if chosen.steps else "not trained"
        for role, count, flops in networks_of(name):
            rows.append([name, role, count, STATED.get((name, role), "not stated"), flops, told])
            told = "″"
    header = ["preset", "network", "parameters", "the paper's", "GFLOPs a pass", "training steps at full size"]
    return f"{machine()}\n\n{table(header, rows)}"


def made(name: str) -> tuple[TrainingConfig, Method, dict[str, tuple[str, dict[str, Any]]]]:
    """A preset's settings, its method, and its networks' names and arguments."""
    config = read_config(None, preset=name)
    method = build_method(config.method, config.method_settings)
    own = {role: (spec["name"], spec.get("arguments", {})) for role, spec in config.networks.items()}
    return config, method, method.network_specs() | own


def networks_of(name: str) -> list[tuple[str, str, str]]:
    """Role, parameters in millions, and GFLOPs of a pass over one volume or slice."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    config, method, specs = made(name)
    found = []
    for role, (network, arguments) in specs.items():
        net = build_network(network, arguments)
        channels = int(arguments.get("in_channels", 2))
        shadow, count = net.to("meta"), sum(parameter.numel() for parameter in net.parameters())
        inputs = [torch.zeros(1, channels, *config.box[: method.dims], device="meta")]
        inputs += [torch.zeros(1, device="meta")] if arguments.get("with_time") else []
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            shadow(*inputs)
        found.append((role, f"{count / 1e6:.2f} M", f"{counter.get_total_flops() / 1e9:.1f}"))
    return found


def trained(name: str, steps: int, batch: int | None) -> dict[str, float]:
    """Train a preset on noise; the loss of the first and the last step, seconds a step, the process's peak in GiB."""
    import torch

    torch.manual_seed(0)
    config, method, specs = made(name)
    networks = torch.nn.ModuleDict({role: build_network(*spec) for role, spec in specs.items()}).train()
    optimizer = torch.optim.AdamW(networks.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    shape = config.box if method.dims == 3 else (*config.box[:2], 4)
    spacing = tuple(size or THICK for size in config.spacing)
    axes = np.meshgrid(*[np.linspace(-1.3, 1.3, size) for size in shape], indexing="ij")
    brain = sum(axis**2 for axis in axes[: method.dims]) < 1
    losses, started, size = [], time.perf_counter(), batch or config.batch
    for step in range(steps):
        examples = []
        for index in range(size):
            rng = np.random.default_rng([0, step, index])
            images = np.where(brain, rng.standard_normal((method.sequences, *shape)), -3).astype(np.float32)
            examples.append(method.example(TrainingVolume(images, brain, spacing, "axial"), rng))
        stacked = {key: torch.from_numpy(np.stack([one[key] for one in examples])) for key in examples[0]}
        optimizer.zero_grad()
        loss = method.loss(networks, stacked)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    seconds = (time.perf_counter() - started) / steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"batch": size, "first": losses[0], "last": losses[-1], "seconds": seconds, "gib": peak}


def in_its_own_process(name: str, chosen: argparse.Namespace) -> str:
    command = [sys.executable, __file__, "--train", name, "--steps", str(chosen.steps)]
    command += ["--batch", str(chosen.batch)] if chosen.batch else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return "not held in this machine's memory" if done.returncode < 0 else f"failed: {lines[-1] if lines else ''}"
    found = json.loads(done.stdout.splitlines()[-1])
    return (
        f"{chosen.steps} of batch {found['batch']}: loss {found['first']:.3f} → {found['last']:.3f}, "
        f"{found['seconds']:.1f} s a step, {found['gib']:.1f} GiB"
    )


if __name__ == "__main__":
    main()
