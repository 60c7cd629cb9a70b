"""Train the network that finds the brain in a scan of any contrast, and write it as the package bundles it.

    python scripts/brain_network.py DATA/ixi-t1 runs/brain --steps 5000
    python scripts/brain_network.py DATA/ixi-t1 runs/brain --steps 8200 --spacing 2.5 --box 80 96 96 --rate 0.0012
    python scripts/brain_network.py DATA/ixi-t1 runs/brain --write src/itermask/prepare/brain_data

Learns from whole heads of the `train` split, made up anew at every step by `itermask.synth.heads`, and validates on
fixed examples of the `val` split. Writes a checkpoint every few minutes to the folder, and goes on from it. The
learning rate falls to 0 at the last step; a second call with more steps starts another fall from `--rate`.
"""

import argparse
import csv
import hashlib
import json
import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from ixi_table import brain_from_labels
from safetensors.torch import save
from torch import nn
from torch.utils.data import DataLoader, Dataset

from itermask import __version__
from itermask.networks import build_network
from itermask.prepare.brain_network import scaled
from itermask.runtime.device import fast_dtype
from itermask.synth.heads import Head, Kind, draw_head, head_of
from itermask.synth.tissues import groups_from_labels
from itermask.training.checkpoint import load_checkpoint, save_checkpoint

NETWORK = "block-unet"
ARGUMENTS = {"in_channels": 1, "out_channels": 1, "widths": [16, 32, 64, 96]}
AVERAGE = 0.998  # what the moving average of the weights keeps at each step
VALIDATION = (Kind(own=1.0), Kind(sequence="T2w"), Kind(sequence="FLAIR"), Kind())


class Heads(Dataset):  # type: ignore[type-arg]
    """Training examples by number: the same number is always the same example."""

    def __init__(self, heads: list[Head], box: tuple[int, int, int], spacing: float, seed: int, first: int, count: int):
        self.heads, self.box, self.spacing, self.seed = heads, box, spacing, seed
        self.first, self.count = first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, self.first + index))
        head = self.heads[int(rng.integers(len(self.heads)))]
        return tensors(head, self.box, self.spacing, rng, None)


def tensors(
    head: Head, box: tuple[int, int, int], spacing: float, rng: np.random.Generator, kind: Kind | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Network input, share of brain and field of view of one example, each (1, X, Y, Z)."""
    example = draw_head(head, box, spacing, rng, kind)
    image = scaled(example.image, example.view)
    return tuple(torch.from_numpy(np.ascontiguousarray(one[None])) for one in (image, example.brain, example.view))  # type: ignore[return-value]


def read_heads(data: Path, split: str, cache: Path) -> tuple[list[str], list[Head]]:
    """Names and heads of a split; kept in `cache`, as parting a head into regions takes a second."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(data / "participants.tsv", newline="") as source:
        names = [row["participant_id"] for row in csv.DictReader(source, delimiter="\t") if row["split"] == split]
    heads = []
    for name in sorted(names):
        kept = cache / f"{name}.npz"
        if not kept.exists():
            image = nib.as_closest_canonical(nib.load(data / f"{name}_T1w.nii.gz"))
            labels = nib.as_closest_canonical(nib.load(data / f"{name}_labels.nii.gz"))
            numbers = np.asanyarray(labels.dataobj).astype(int)
            groups = groups_from_labels(numbers, brain_from_labels(numbers))
            spacing = [float(size) for size in image.header.get_zooms()]
            head = head_of(image.get_fdata(dtype=np.float32), groups, spacing)
            partial = kept.with_name(f".{kept.name}.part.npz")
            np.savez(partial, image=head.image, regions=head.regions, spacing=head.spacing)
            os.replace(partial, kept)
        with np.load(kept) as stored:
            heads.append(Head(stored["image"], stored["regions"], tuple(stored["spacing"].tolist())))
    return sorted(names), heads


def loss_of(logits: torch.Tensor, brain: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """1 − Dice, and cross entropy, within the field of view."""
    found, brain, view = torch.sigmoid(logits) * view, brain * view, view.float()
    dice = (2 * (found * brain).sum() + 1) / (found.square().sum() + brain.square().sum() + 1)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, brain, weight=view, reduction="sum")
    return 1 - dice + 2 * entropy / view.sum()


@torch.no_grad()
def validate(network: nn.Module, examples: list[tuple[torch.Tensor, ...]], dtype: torch.dtype) -> list[float]:
    """Mean Dice of each kind of `VALIDATION`."""
    found = []
    for image, brain, view in examples:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = network(image[None])[0].float()
        mask, truth = (logits > 0) & view, (brain > 0.5) & view
        found.append(2 * float((mask & truth).sum()) / max(1.0, float(mask.sum() + truth.sum())))
    kinds = len(VALIDATION)
    return [float(np.mean(found[kind::kinds])) for kind in range(kinds)]


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    box, out = tuple(arguments.box), arguments.out
    names, heads = read_heads(arguments.data, "train", out / "heads")
    kept_back, val_heads = read_heads(arguments.data, "val", out / "heads")
    examples = [
        tensors(head, box, arguments.spacing, np.random.default_rng((arguments.seed, 10**6, i, k)), kind)
        for i, head in enumerate(val_heads)
        for k, kind in enumerate(VALIDATION)
    ]
    networks = nn.ModuleDict({"brain": build_network(NETWORK, ARGUMENTS)}).to(memory_format=torch.channels_last_3d)
    average = {name: value.detach().clone() for name, value in networks.state_dict().items()}
    optimizer = torch.optim.AdamW(networks.parameters(), lr=arguments.rate, weight_decay=1e-4)
    about = {"step": 0, "phases": []}
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        about = load_checkpoint(checkpoint, networks, average, optimizer)
    phase = {"steps": arguments.steps, "spacing": arguments.spacing, "box": list(box), "rate": arguments.rate}
    if not about["phases"] or {k: v for k, v in about["phases"][-1].items() if k != "from"} != phase:
        about["phases"].append({"from": about["step"], **phase})
    start, last = about["phases"][-1]["from"], arguments.steps
    about |= {"seed": arguments.seed, "train": names, "val": kept_back}
    dtype = fast_dtype(torch.device("cpu"))
    source = Heads(heads, box, arguments.spacing, arguments.seed, about["step"], last - about["step"])
    loader = DataLoader(source, batch_size=1, num_workers=1, prefetch_factor=4)
    began, kept, losses = time.monotonic(), time.monotonic(), []
    for image, brain, view in loader:
        share = (about["step"] - start) / max(1, last - start)
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * min(1, (about["step"] - start + 1) / 100) * (1 + np.cos(np.pi * share)) / 2
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = networks["brain"](image.contiguous(memory_format=torch.channels_last_3d))
        loss = loss_of(logits.float(), brain, view)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        about["step"] += 1
        for name, value in networks.state_dict().items():
            average[name].lerp_(value, 1 - min(AVERAGE, about["step"] / (about["step"] + 10)))
        losses.append(loss.item())
        if about["step"] % 50 == 0:
            seconds = (time.monotonic() - began) / len(losses)
            print(f"step {about['step']} loss {np.mean(losses[-50:]):.4f} {seconds:.2f} s/step", flush=True)
        if about["step"] % 400 == 0 or about["step"] == last:
            averaged = build_network(NETWORK, ARGUMENTS)
            averaged.load_state_dict({name.removeprefix("brain."): value for name, value in average.items()})
            about["validation"] = validate(averaged.eval(), examples, dtype)
            print("validation T1w T2w FLAIR any:", *(f"{one:.4f}" for one in about["validation"]), flush=True)
        if time.monotonic() - kept > 150 or about["step"] == last:
            save_checkpoint(checkpoint, networks, average, optimizer, about)
            kept = time.monotonic()


def write(arguments: argparse.Namespace) -> None:
    """Write the averaged weights in half precision, and their card."""
    networks = nn.ModuleDict({"brain": build_network(NETWORK, ARGUMENTS)})
    average = {name: value.detach().clone() for name, value in networks.state_dict().items()}
    optimizer = torch.optim.AdamW(networks.parameters())
    about = load_checkpoint(arguments.out / "checkpoint.safetensors", networks, average, optimizer)
    weights = save({name.removeprefix("brain."): value.half().contiguous() for name, value in average.items()})
    last = about["phases"][-1]
    card = {
        "version": __version__,
        "network": {"name": NETWORK, "arguments": ARGUMENTS},
        "spacing": last["spacing"],
        "box": last["box"],
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "training": {"step": about["step"], "seed": about["seed"], "batch": 1, "phases": about["phases"]},
        "validation": dict(zip(("T1w", "T2w", "FLAIR", "any"), np.round(about.get("validation", []), 4), strict=False)),
        "data": {
            "name": "IXI, Hammersmith Hospital, T1w whole heads with anatomical labels",
            "source": "brain-development.org; downsampled and labelled by the NiChart project",
            "license": "CC BY-SA 3.0",
            "train_subjects": len(about["train"]),
            "validation_subjects": len(about["val"]),
            "listing_sha256": hashlib.sha256("\n".join(about["train"] + about["val"]).encode()).hexdigest(),
        },
        "license": "CC BY-SA 3.0",
        "intended_use": "Research only; not a medical device and not a diagnosis.",
    }
    arguments.write.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("weights.safetensors", weights),
        ("card.json", (json.dumps(card, indent=1) + "\n").encode()),
    ):
        partial = arguments.write / f".{name}.part"
        partial.write_bytes(content)
        os.replace(partial, arguments.write / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=0.0015)
    parser.add_argument("--spacing", type=float, default=3.0, help="voxel size in mm")
    parser.add_argument("--box", type=int, nargs=3, default=[64, 80, 80], help="voxels along right, anterior, superior")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="write the bundled files to this folder instead of training")
    arguments = parser.parse_args()
    (write if arguments.write else train)(arguments)


if __name__ == "__main__":
    main()
