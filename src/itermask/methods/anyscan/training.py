"""What the any-scan model learns from: a normal brain in any contrast, with anomalies that it must leave out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from itermask.core.masks import ellipsoid_mask, field_mask
from itermask.methods.anyscan.description import describe_contrast
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.masks import hidden_blocks
from itermask.prepare.intensity import ROBUST
from itermask.synth.anomalies import apply_anomalies, draw_anomalies, move_piece
from itermask.synth.contrast import apply_contrast, bend, draw_contrast
from itermask.synth.scanner import add_noise, apply_acquisition, draw_scanner
from itermask.synth.tissues import TISSUE_OF_GROUP, TISSUES, UNKNOWN, groups_from_intensity
from itermask.types import TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SCALE = 0.05  # floor of the expected error
HIDDEN, VISIBLE, OUTSIDE = 1.0, 0.15, 0.005  # loss weights
ANOMALY = 1.5  # weight of voxels with an anomaly, hidden or not
TISSUE_SHARE, SCALE_SHARE, ANOMALY_SHARE = 0.15, 0.05, 0.5  # of the loss
LEAST_CHANGE = 0.4  # scaled intensities by which an anomaly changes a voxel that it is looked for in
POSITIVE = 2.0  # weight of voxels with an anomaly when anomalies are classified


@dataclass(frozen=True)
class Mix:
    """How often each kind of training example is drawn.

    Attributes:
        real: share of scans in their own contrast, bent a little.
        remapped: share with every tissue's brightness drawn anew and the scan's structure kept; the others are sampled
            from the tissue groups alone.
        anomalies: share with synthetic anomalies.
        blocks, fields, ellipsoids, full: shares of what is hidden; the others hide nothing.
        no_guidance: probability that the fine structure is left out in a region.
    """

    real: float = 0.4
    remapped: float = 0.4
    anomalies: float = 0.75
    blocks: float = 0.35
    fields: float = 0.1
    ellipsoids: float = 0.05
    full: float = 0.12
    no_guidance: float = 0.3


def example(volume: TrainingVolume, rng: np.random.Generator, mix: Mix, cutoff: float) -> dict[str, np.ndarray]:
    """Draw one training example.

    Args:
        volume: a normal T1-weighted brain; its first sequence is used.
        rng: random generator.
        mix: see `Mix`.
        cutoff: of the guidance, cycles/mm.

    Returns:
        `input` (3, X, Y, Z), see `network_input`; `description` (FEATURES,); `target`, `weight` and
        `normal` (1, X, Y, Z), all float32; `tissue` uint8 (X, Y, Z); `anomaly` uint8 (X, Y, Z): 0 normal, 1 brighter
        than normal, 2 darker, `UNKNOWN` what is hidden, outside the brain or hardly changed.
    """
    image, brain, spacing = volume.images[0], volume.brain, volume.spacing
    groups = groups_from_intensity(image, brain) if volume.groups is None else np.where(brain, volume.groups, 0)
    clean = _any_contrast(image, brain, groups, rng, mix)
    corrupted, where = clean, np.zeros(brain.shape, np.float32)
    if rng.random() < mix.anomalies:
        if rng.random() < 0.1:
            corrupted, where = move_piece(clean, brain, rng, spacing)
        else:
            corrupted, where = apply_anomalies(clean, brain, draw_anomalies(clean, groups, spacing, rng))
    scanner = draw_scanner(rng)
    low = min(float(clean[brain].min()), float(corrupted[brain].min()))
    clean, corrupted = (apply_acquisition(one - low, brain, scanner, spacing) for one in (clean, corrupted))
    change = corrupted - clean
    corrupted = add_noise(corrupted, brain, scanner, rng)
    limits = ROBUST.limits(corrupted, brain)
    target, seen = ROBUST.apply(clean, brain, limits), ROBUST.apply(corrupted, brain, limits)

    fine = fine_structure(seen, brain, spacing, cutoff)
    if rng.random() < mix.no_guidance:
        fine = np.where(field_mask(brain, rng), 0, fine)
    hidden = _hidden(brain, spacing, rng, mix)
    weight = np.where(hidden, HIDDEN, np.where(brain, VISIBLE, OUTSIDE))
    weight = np.maximum(weight, ANOMALY * (where > 0.1)).astype(np.float32)
    tissue = TISSUE_OF_GROUP[groups].astype(np.uint8)
    known = brain if volume.groups is not None else np.zeros_like(brain)
    return {
        "input": network_input(seen, fine, hidden, brain, rng),
        "description": describe_contrast(seen, brain),
        "target": target[None],
        "weight": weight[None],
        "normal": (brain & (where < 0.02))[None].astype(np.float32),
        "tissue": np.where(known, tissue, UNKNOWN).astype(np.uint8),
        "anomaly": _classes(target, ROBUST.apply(clean + change, brain, limits), where, brain & ~hidden),
    }


def _classes(normal: np.ndarray, changed: np.ndarray, where: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return where an anomaly made a scan brighter (1) or darker (2), both without noise; see `example`.

    Its soft edge belongs to it up to half of its weight `where`, however strong it is; so outlines are not wide.
    """
    change, inside = changed - normal, where >= 0.5
    strong = inside & (np.abs(change) > LEAST_CHANGE)
    classes = np.where(strong, np.where(change > 0, 1, 2), 0)
    return np.where(known & (strong | ~inside), classes, UNKNOWN).astype(np.uint8)


def network_input(
    image: np.ndarray, fine: np.ndarray, hidden: np.ndarray, brain: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Stack the noise-filled image, its fine structure, and what is hidden (1), seen (0) or outside (−1): (3, X, Y, Z).

    The noise has the spread of the robust scale, a standard deviation of 2.
    """
    noise = 2 * rng.standard_normal(image.shape, dtype=np.float32)
    filled = np.where(hidden, noise, image)
    return np.stack([filled, fine, np.where(brain, hidden, -1)]).astype(np.float32, copy=False)


def loss(output: "Tensor", batch: "dict[str, Tensor]") -> "Tensor":
    """Return the Huber loss of the expected image, plus the losses of the expected error, the tissue and the anomaly.

    Args:
        output: (batch, OUTPUTS, X, Y, Z): expected image, expected error before softplus, tissue logits, logits of a
            bright and a dark anomaly.
        batch: examples, stacked.
    """
    from torch.nn import functional

    output = output.float()
    expected, target, weight = output[:, :1], batch["target"], batch["weight"]
    axes = tuple(range(1, target.ndim))
    difference = functional.smooth_l1_loss(expected, target, reduction="none")
    restored = ((difference * weight).sum(axes) / weight.sum(axes)).mean()
    scale = functional.softplus(output[:, 1:2]) + LEAST_SCALE
    off = (expected - target).abs().detach()
    normal = batch["normal"] * weight
    likelihood = ((off / scale + scale.log()) * normal).sum(axes) / normal.sum(axes).clamp_min(1)
    tissue = batch["tissue"].long()
    known = (tissue != UNKNOWN).sum().clamp_min(1)
    wrong = functional.cross_entropy(output[:, TISSUE_LOGITS], tissue, ignore_index=UNKNOWN, reduction="sum") / known
    missed = _anomaly_loss(output[:, ANOMALY_LOGITS], batch["anomaly"])
    return restored + SCALE_SHARE * likelihood.mean() + TISSUE_SHARE * wrong + ANOMALY_SHARE * missed


def _anomaly_loss(logits: "Tensor", classes: "Tensor") -> "Tensor":
    """Return each sign's cross-entropy over the brain's visible voxels, plus the soft Dice loss of present signs."""
    import torch
    from torch.nn import functional

    known = (classes != UNKNOWN)[:, None]
    truth = torch.stack([classes == number for number in (1, 2)], 1).to(logits.dtype)
    wrong = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    weighted = (wrong * known * (1 + (POSITIVE - 1) * truth)).sum() / (2 * known.sum()).clamp_min(1)
    axes = tuple(range(2, logits.ndim))
    likely = logits.sigmoid() * known
    shared, there = (likely * truth).sum(axes), truth.sum(axes)
    dice = 1 - (2 * shared + 1) / (likely.sum(axes) + there + 1)
    return weighted + 0.2 * (dice * (there > 0)).mean()


TISSUE_LOGITS = slice(2, 2 + len(TISSUES))  # channels of the network's output
ANOMALY_LOGITS = slice(TISSUE_LOGITS.stop, TISSUE_LOGITS.stop + 2)
OUTPUTS = ANOMALY_LOGITS.stop


def _any_contrast(
    image: np.ndarray, brain: np.ndarray, groups: np.ndarray, rng: np.random.Generator, mix: Mix
) -> np.ndarray:
    """Return the brain in a contrast of its own, remapped or sampled; float32, 0 outside."""
    kind = rng.random()
    if kind < mix.real:
        return bend(image, brain, float(np.exp(rng.normal(0, 0.3))))
    contrast = draw_contrast(image, groups, rng, sampled=kind >= mix.real + mix.remapped)
    return apply_contrast(image, groups, contrast, rng)


def _hidden(brain: np.ndarray, spacing: tuple[float, ...], rng: np.random.Generator, mix: Mix) -> np.ndarray:
    """Return what is hidden: blocks, a thresholded field, an ellipsoid, the whole brain, or nothing."""
    kind = rng.random() - mix.blocks
    if kind < 0:
        return hidden_blocks(brain, spacing, rng, float(rng.choice([1 / 3, 0.5, 2 / 3, 0.85])))
    if (kind := kind - mix.fields) < 0:
        return field_mask(brain, rng)
    if (kind := kind - mix.ellipsoids) < 0:
        return ndimage.binary_dilation(ellipsoid_mask(brain, rng)) & brain
    return brain.copy() if kind < mix.full else np.zeros_like(brain)
