"""The likely fault in words, from the faults' odds and the axis along which its features are largest."""

import nibabel as nib
import numpy as np

from itermask.scan import Scan

AXES = {"R": "left–right", "L": "left–right", "A": "front–back", "P": "front–back", "S": "head–foot", "I": "head–foot"}

FAULTS = {  # what the kinds of artifact are called, and the feature whose axis is named
    "bias_field": ("uneven brightness (coil sensitivity)", None),
    "folding": ("fold-over: the head reaches beyond the field of view", "face"),
    "gaussian_noise": ("noise", None),
    "ghosting": ("ghosting", "echo"),
    "gibbs": ("ringing at edges (Gibbs)", "cliff"),
    "kspace_empty_line": ("stripes from lost k-space lines", "jag"),
    "kspace_line": ("stripes from a disturbed k-space line", "peak"),
    "kspace_point": ("herringbone stripes", None),
    "line_shift": ("a displaced band of the image", "jump"),
    "missing_chunk": ("a missing slab", "face"),
    "missing_chunk_middle": ("a missing slab", "face"),
    "motion": ("motion", "agree_coarse"),
    "noise": ("noise", None),
    "smoothing": ("blur", None),
    "spike": ("stripes from spikes in k-space", None),
    "susceptibility": ("distortion, as near metal or air", None),
    "zipper": ("zipper lines", "noisy"),
}
LEAST = 0.4  # share of all faults' odds that the likely one has at least


def likely_fault(heads: dict[str, float], axes: dict[str, np.ndarray], scan: Scan) -> str | None:
    """The fault that explains most of the score, with its axis where it has one.

    Args:
        heads: fault → logarithm of its odds against a clean scan.
        axes: features along each axis.
        scan: whose affine names the axes.

    Returns:
        words, or None where no fault has `LEAST` of the odds.
    """
    shares: dict[str, float] = {}
    highest = max(heads.values())
    for fault, odds in heads.items():
        words = FAULTS[fault][0]
        shares[words] = shares.get(words, 0.0) + float(np.exp(odds - highest))
    words = max(shares, key=lambda name: shares[name])
    if shares[words] < LEAST * sum(shares.values()):
        return None
    feature = next(feature for name, feature in FAULTS.values() if name == words)
    if feature is None or not np.isfinite(axes[feature]).any():
        return words
    values = -axes[feature] if feature.startswith("agree") else axes[feature]
    code = nib.aff2axcodes(scan.affine)[int(np.nanargmax(values))]
    return f"{words} along the {AXES[code]} axis" if code in AXES else words
