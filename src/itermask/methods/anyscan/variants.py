"""Healthy scans in other contrasts, made from a healthy T1w scan: what calibration has of sequences that it lacks."""

from dataclasses import replace

import numpy as np

from itermask.prepare.intensity import ROBUST
from itermask.synth.contrast import apply_contrast, draw_contrast
from itermask.synth.scanner import add_noise, apply_acquisition, draw_scanner
from itermask.synth.tissues import groups_from_intensity
from itermask.types import Prepared

WANTED = ("T2w", "FLAIR")
TRIES = 200
MOST_NOISE = 0.02  # of the brain's 99th percentile
MOST_BIAS = 0.05  # logarithm of a coil's sensitivity at the points of its coarse grid
BLUR = 2.0  # mm


def other_contrasts(prepared: Prepared, rng: np.random.Generator) -> list[Prepared]:
    """Make a T2w-like and a FLAIR-like scan of a healthy T1w scan.

    Args:
        prepared: a healthy T1w scan on the model's grid, on its robust scale.
        rng: the only source of randomness.

    Returns:
        one prepared scan for each of `WANTED`, with the same brain, on the robust scale.
    """
    image, brain = prepared.image, prepared.brain
    groups = groups_from_intensity(image, brain)
    made: dict[str, Prepared] = {}
    for _ in range(TRIES):
        contrast = draw_contrast(image, groups, rng)
        if contrast.name not in WANTED or contrast.name in made:
            continue
        changed = apply_contrast(image, groups, contrast, rng)
        scanner = draw_scanner(rng)
        bias = np.clip(scanner.bias, -MOST_BIAS, MOST_BIAS)
        noise = min(scanner.noise, MOST_NOISE)
        scanner = replace(scanner, bias=bias, noise=noise, blur=(BLUR,) * 3, voxel=(0.0,) * 3)
        changed = apply_acquisition(changed - min(0.0, float(changed.min())), brain, scanner, prepared.spacing)
        changed = add_noise(changed, brain, scanner, rng)
        limits = ROBUST.limits(changed, brain)
        scaled = ROBUST.apply(changed, brain, limits)
        made[contrast.name] = replace(prepared, image=scaled, limits=limits, sequence=contrast.name)
        if len(made) == len(WANTED):
            break
    return [made[name] for name in WANTED if name in made]
