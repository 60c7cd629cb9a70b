"""The likely fault as text, from the faults' odds and the axis along which its features are largest."""

import nibabel as nib
import numpy as np

from itermask.types import Scan

AXES = {"R": "left–right", "L": "left–right", "A": "front–back", "P": "front–back", "S": "head–foot", "I": "head–foot"}

# What the kinds of artifact are called, the feature whose largest value tells their axis, and how the axis is put.
FAULTS: dict[str, tuple[str, str | None, str]] = {
    "bias_field": ("uneven brightness (coil sensitivity)", None, ""),
    "folding": ("fold-over", "face", "along"),
    "gaussian_noise": ("noise", None, ""),
    "ghosting": ("ghosting", "echo", "along"),
    "gibbs": ("ringing at edges (Gibbs)", "cliff", "along"),
    "kspace_empty_line": ("stripes from lost k-space lines", "jag", "along"),
    "kspace_line": ("stripes from a disturbed k-space line", "peak", "along"),
    "kspace_point": ("herringbone stripes", "weave", "in slices across"),
    "line_shift": ("a displaced band", "jump", "across"),
    "missing_chunk": ("a missing slab", "face", "across"),
    "missing_chunk_middle": ("a missing slab", "face", "across"),
    "motion": ("motion", None, ""),
    "noise": ("noise", None, ""),
    "smoothing": ("blur", None, ""),
    "spike": ("stripes from spikes in k-space", None, ""),
    "susceptibility": ("distortion, as near metal or air", None, ""),
    "zipper": ("zipper lines", "noisy", "across"),
}
LEAST = 0.4  # share of all faults' odds that the likely one has at least


def leading(heads: dict[str, float]) -> str | None:
    """Return the fault with most of the odds, as text; None where none has `LEAST` of them.

    Args:
        heads: kind of artifact → logarithm of its odds against a clean scan.

    Examples:
        >>> leading({"noise": 3.0, "gaussian_noise": 2.5, "motion": 0.0})
        'noise'
        >>> leading({"zipper": 0.1, "motion": 0.0, "gibbs": 0.0}) is None
        True
    """
    shares: dict[str, float] = {}
    highest = max(heads.values())
    for fault, odds in heads.items():
        name = FAULTS[fault][0]
        shares[name] = shares.get(name, 0.0) + float(np.exp(odds - highest))
    name = max(shares, key=lambda one: shares[one])
    return name if shares[name] >= LEAST * sum(shares.values()) else None


def likely_fault(heads: dict[str, float], axes: dict[str, np.ndarray], scan: Scan) -> str | None:
    """Return the fault that explains most of the score, with its axis where it has one that can be told.

    Args:
        heads: kind of artifact → logarithm of its odds against a clean scan.
        axes: features along each axis.
        scan: whose affine names the axes.

    Returns:
        fault, such as "ghosting along the front–back axis"; None where no fault has `LEAST` of the odds.
    """
    fault = leading(heads)
    if fault is None:
        return None
    feature, how = next((feature, how) for name, feature, how in FAULTS.values() if name == fault)
    if feature is None or not np.isfinite(axes[feature]).any():
        return fault
    code = nib.aff2axcodes(scan.affine)[int(np.nanargmax(axes[feature]))]
    return f"{fault} {how} the {AXES[code]} axis" if code in AXES else fault
