"""Other contrasts of a normal brain: every tissue's brightness drawn anew, its structure kept or drawn too.

Each way is split in two: `draw_…` draws the parameters, and `apply_contrast` applies them, so that what was done can be
recorded and repeated. Source: any-scan design, "Generator".
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.synth.tissues import FLUID, GREY, GROUPS, KIND_OF_GROUP, MIXED, WHITE

CLUSTERS = 3  # each group is parted in three by brightness: what lies between two tissues becomes a mixture of both
SOFT = 0.7  # voxels: standard deviation by which borders between groups are softened
# Brightness of fluid, grey and white matter in the usual sequences, from 0 to 1.
ORDERS = {"T1w": (0.1, 0.5, 0.85), "T2w": (0.95, 0.5, 0.3), "FLAIR": (0.08, 0.7, 0.5), "PD": (0.6, 0.75, 0.5)}


@dataclass(frozen=True)
class Contrast:
    """Parameters of a contrast: `x' = offset + gain·x + texture·noise` for each group and cluster.

    Attributes:
        offset, gain, texture: float32 (groups, CLUSTERS).
        edges: float32 (groups, CLUSTERS − 1), the intensities that part a group's clusters.
        grain: standard deviation in voxels of the texture's smoothness.
        soft: standard deviation in voxels by which borders between groups are softened.
        name: which order of brightness it follows.
    """

    offset: np.ndarray
    gain: np.ndarray
    texture: np.ndarray
    edges: np.ndarray
    grain: float
    soft: float
    name: str


def draw_levels(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Draw the brightness of fluid, grey and white matter, 0 to 1, and name the order they follow.

    Half of the draws follow a usual sequence's order, with jitter; the others are uniform, with grey and white matter
    at least 0.3 apart, or 0.12 where that follows a usual order.

    Example:
        >>> levels, order = draw_levels(np.random.default_rng(0))
        >>> len(levels), bool((levels >= 0).all() and (levels <= 1).all())
        (3, True)
    """
    if rng.random() < 0.65:
        name = str(rng.choice(["T1w", "T2w", "FLAIR", "FLAIR", "PD"]))
        levels = np.array(ORDERS[name]) + rng.normal(0, 0.08, 3)
        middle = (levels[GREY] + levels[WHITE]) / 2
        sign = np.sign(ORDERS[name][GREY] - ORDERS[name][WHITE])
        distance = max(0.12, abs(levels[GREY] - levels[WHITE]))
        levels[GREY], levels[WHITE] = middle + sign * distance / 2, middle - sign * distance / 2
        return levels, name
    while True:
        levels = rng.random(3)
        if abs(levels[GREY] - levels[WHITE]) >= 0.3:
            return levels, "any"


def draw_contrast(image: np.ndarray, groups: np.ndarray, rng: np.random.Generator, sampled: bool = False) -> Contrast:
    """Draw a contrast for one T1-weighted scan.

    A group's dark and bright clusters are mixtures with the tissue on that side, and keep being so: of white matter
    and fluid, of grey matter and either.

    Args:
        image: T1-weighted intensities, any scale.
        groups: tissue groups, see `itermask.synth.tissues`.
        rng: random generator; the only source of randomness.
        sampled: nothing of the scan's own structure within a cluster is kept; a texture takes its place.

    Returns:
        the parameters for `apply_contrast`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = rng.random((12, 12, 12)).astype(np.float32)
        >>> groups = np.digitize(image, [0.3, 0.6]).astype(np.uint8) + 1
        >>> type(draw_contrast(image, groups, rng)).__name__
        'Contrast'
    """
    levels, name = draw_levels(rng)
    count = len(GROUPS)
    offset, gain, texture = (np.zeros((count, CLUSTERS), np.float32) for _ in range(3))
    edges = np.full((count, CLUSTERS - 1), np.inf, np.float32)
    middles = _kind_medians(image, groups)
    flip = rng.choice([1.0, 1.0, 1.0, -1.0])  # structure within a tissue may turn over as well
    spread = max(abs(middles[WHITE] - middles[FLUID]), 1e-3)
    structure = rng.uniform(0.3, 1.5) * (levels.max() - levels.min()) / spread
    fine = rng.uniform(0.02, 0.1)
    for group in range(1, count):
        values = _some(image[groups == group])
        if values.size == 0:
            continue
        kind = int(KIND_OF_GROUP[group])
        own = float(np.median(values))
        level = levels[kind] if kind != MIXED else float(np.interp(own, np.sort(middles), levels[np.argsort(middles)]))
        jitter = {"cortex": 0.02, "white matter": 0.02, "outer fluid": 0.03}.get(GROUPS[group], 0.06)
        level += rng.normal(0, jitter)
        low, high = np.percentile(values, [25, 75])
        edges[group] = low, high
        means = [_mean(values[values <= low], own), own, _mean(values[values > high], own)]
        below, above = _neighbours(kind)
        for cluster, mean in enumerate(means):
            other = below if cluster == 0 else above
            slope = 0.0
            if other is not None and cluster != 1:
                distance = middles[other] - own
                if distance * (mean - own) > 0:  # on the way to the other tissue
                    share = float(np.clip((mean - own) / distance, 0, 0.9))
                    slope = (levels[other] - level) / distance
                    mean_level = level + share * (levels[other] - level)
                else:
                    mean_level = level
            else:
                mean_level = level
            free = flip * structure * rng.uniform(0.3, 1.5)
            g = 0.0 if sampled else slope * rng.uniform(0.7, 1.2) + (free if slope == 0 else 0.2 * free)
            gain[group, cluster] = g
            offset[group, cluster] = mean_level - g * mean
            texture[group, cluster] = fine * rng.uniform(0.3, 1.2) if sampled else 0.0
    soft = SOFT * rng.uniform(0.6, 1.6)
    return Contrast(offset, gain, texture, edges, float(rng.uniform(0.4, 1.5)), float(soft), name)


def apply_contrast(image: np.ndarray, groups: np.ndarray, contrast: Contrast, rng: np.random.Generator) -> np.ndarray:
    """Give a scan another contrast.

    Args:
        image: the intensities that the contrast was drawn for.
        groups: tissue groups of that shape.
        contrast: from `draw_contrast`.
        rng: draws the texture, where there is one.

    Returns:
        float32, about 0 to 1 in the brain, 0 in the background.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = rng.random((12, 12, 12)).astype(np.float32)
        >>> groups = np.digitize(image, [0.3, 0.6]).astype(np.uint8) + 1
        >>> apply_contrast(image, groups, draw_contrast(image, groups, rng), rng).shape
        (12, 12, 12)
    """
    cluster = (image > contrast.edges[groups, 0]).astype(np.uint8) + (image > contrast.edges[groups, 1])
    index = groups.astype(np.intp) * CLUSTERS + cluster
    brain = groups > 0
    weight = ndimage.gaussian_filter(brain.astype(np.float32), contrast.soft, truncate=2.5)
    weight = np.maximum(weight, 1e-3)

    def field(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values.ravel()[index] * brain, contrast.soft, truncate=2.5) / weight

    changed = field(contrast.offset)
    if contrast.gain.any():
        changed += field(contrast.gain) * image
    if contrast.texture.any():
        noise = ndimage.gaussian_filter(
            rng.standard_normal(image.shape, dtype=np.float32), contrast.grain, truncate=2.5
        )
        noise /= max(float(noise[brain].std()), 1e-6)
        changed += field(contrast.texture) * noise
    return np.where(brain, changed, 0).astype(np.float32)


def bend(image: np.ndarray, brain: np.ndarray, exponent: float) -> np.ndarray:
    """Bend a contrast between its 1st and 99th percentile: `u → u^exponent`.

    Args:
        image: intensities.
        brain: boolean brain mask.
        exponent: above 0; 1 changes nothing.

    Returns:
        float32, 0 to about 1 in the brain, 0 outside.

    Example:
        >>> image, brain = np.linspace(0.0, 1.0, 101), np.ones(101, bool)
        >>> bool(np.all(np.diff(bend(image, brain, exponent=0.5)) >= 0))
        True
    """
    low, high = np.percentile(_some(image[brain]), [1, 99])
    unit = (image - low) / max(float(high - low), 1e-6)
    return np.where(brain, np.sign(unit) * np.abs(unit) ** exponent, 0).astype(np.float32)


def _kind_medians(image: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the median intensities of fluid, grey and white matter; a missing one is inferred from the others."""
    kinds = KIND_OF_GROUP[groups]
    found = np.full(3, np.nan)
    for kind in (FLUID, GREY, WHITE):
        values = _some(image[(kinds == kind) & (groups > 0)])
        if values.size:
            found[kind] = np.median(values)
    known = _some(image[groups > 0])
    fallback = np.percentile(known, [5, 45, 85])
    return np.where(np.isfinite(found), found, fallback)


def _neighbours(kind: int) -> tuple[int | None, int | None]:
    """Return the tissues that a group's dark and bright voxels (in a T1-weighted scan) are mixed with."""
    return {FLUID: (None, WHITE), GREY: (FLUID, WHITE), WHITE: (FLUID, None), MIXED: (None, None)}[kind]


def _some(values: np.ndarray, count: int = 8000) -> np.ndarray:
    """Return at most about `count` of the values, evenly taken: enough for their quantiles."""
    return values[:: max(1, values.size // count)]


def _mean(values: np.ndarray, otherwise: float) -> float:
    return float(values.mean()) if values.size else otherwise
