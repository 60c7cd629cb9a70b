"""What a report's viewer shows, as the page holds it: scan, error map and passes, as NIfTI files of one byte a voxel.

All three lie on one grid: the scan's own, cropped around the brain, its axes reordered and flipped to run right,
anterior and superior as nearly as they can. Nothing is resampled, unless the page would be larger than it may be.

The error map is held in steps between the levels of a geometric scale, one of which is the finding's threshold. A
voxel's byte is the number of levels that its error exceeds, so the volume above each level is exact.
"""

import base64
import gzip
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import nibabel as nib
import numpy as np

from itermask.results.regions import voxel_ml
from itermask.results.report.pictures import brain_box, grey_window
from itermask.types import Finding, Scan

BUNDLE = "niivue.umd.js.gz"
LEVELS = 160  # of the error map
FAINT = 32.0  # the lowest level is at least the threshold divided by this
SPREAD = 0.1  # intensities held beyond those shown as black and as white, as a share of their distance
SIMILAR = 1.5  # axes are made coarser if their voxels are no more than so many times as long as the shortest
COARSEST = 8
NIFTI_DATA = 352  # bytes before the voxels of a NIfTI-1 file


@dataclass(frozen=True)
class Embedded:
    """The volumes of a viewer, and what its script must know of them.

    Attributes:
        volumes: `scan`, `error` and `passes`, each a gzip-compressed NIfTI-1 file in base64.
        about: levels, counts, window and sizes, as JSON can hold them.
        factor: how many voxels in a row became one, along the axes that were made coarser; 1 if none was.
        around: whether what lies around the brain is held too.
    """

    volumes: dict[str, str]
    about: dict[str, Any]
    factor: int = 1
    around: bool = True

    @property
    def size(self) -> int:
        """Bytes that the volumes take."""
        return sum(len(text) for text in self.volumes.values())


def embed(scan: Scan, finding: Finding, room: int) -> Embedded | None:
    """Return the volumes, such that they take no more than `room` bytes of the page.

    What is too large is held without what lies around the brain, then on coarser grids: there a voxel has the mean
    intensity, and the highest step and pass of the voxels that became one, so that nothing marked is lost.

    Args:
        scan: the scan on its own grid.
        finding: what was found in it.
        room: bytes.

    Returns:
        the volumes; None if there is no brain, or no grid is coarse enough.

    Example:
        >>> embedded = embed(scan, finding, room=10_000_000)
        >>> embedded is not None
        True
    """
    if not finding.brain.any():
        return None
    box = brain_box(finding.brain, np.linalg.norm(finding.affine[:3, :3], axis=0))
    order = nib.orientations.io_orientation(finding.affine)
    shift = np.eye(4)
    shift[:3, 3] = [part.start for part in box]
    affine = finding.affine @ shift @ nib.orientations.inv_ornt_aff(order, finding.brain[box].shape)

    def upright(array: np.ndarray) -> np.ndarray:
        return nib.orientations.apply_orientation(array[box], order)

    image, brain, error = upright(scan.image), upright(finding.brain), upright(finding.error)
    levels, start = error_levels(error[brain], finding.threshold)
    passes, count = pass_numbers(brain, upright(finding.anomaly), finding, upright)
    steps = np.searchsorted(levels, error, side="left").astype(np.uint8)
    inside = steps[brain]
    window = grey_window(image, brain)
    grey, slope, inter = quantised(image, window)
    about = {
        "levels": [float(f"{level:.6g}") for level in levels],
        "above": (inside.size - np.cumsum(np.bincount(inside, minlength=len(levels)))[: len(levels)]).tolist(),
        "start": start,
        "passes": count,
        "hidden": [int((passes > number).sum()) for number in range(count + 1)],
        "brain": int(brain.sum()),
        "voxel_ml": voxel_ml(finding.affine),
        "window": [(edge - inter) / slope for edge in window],
    }
    rungs = [(False, factor) for factor in range(1, COARSEST + 1)]
    for around, factor in [(True, 1), *rungs] if image[~brain].any() else rungs:
        shown = grey if around else np.where(brain, grey, 0)
        by, grid = coarser(affine, factor)
        volumes = _packed({"scan": shown, "error": steps, "passes": passes}, by, grid, (slope, inter))
        ways = {"to_mm": grid[:3].tolist(), "to_voxel": np.linalg.inv(grid)[:3].tolist()}
        found = Embedded(volumes, about | ways | {"around": around, "factor": factor}, factor, around)
        if found.size <= room:
            return found
    return None


def error_levels(errors: np.ndarray, threshold: float) -> tuple[np.ndarray, int]:
    """Return levels of a geometric scale, from where at most half of the brain exceeds them to where nothing does.

    Args:
        errors: of the brain's voxels, 1D, float32.
        threshold: the finding's, which is one of the levels; if it is no positive number, the 99th percentile takes its
            place.

    Returns:
        float32 levels, rising, at most `LEVELS` and a few; none if no error is positive. And the threshold's place.

    Example:
        >>> levels, count = error_levels(np.linspace(0.0, 1.0, 100), threshold=0.5)
        >>> levels.ndim, count > 0
        (1, True)
    """
    top = float(errors.max(initial=0))
    if not (np.isfinite(threshold) and threshold > 0):
        threshold = float(np.percentile(errors, 99)) if errors.size else 0.0
        threshold = threshold or top
    if not (np.isfinite(top) and top > 0 and threshold > 0):
        return np.empty(0, np.float32), 0
    low = min(threshold / 2, max(threshold / FAINT, float(np.median(errors))))
    high = max(top, 2 * threshold)
    ratio = (high / low) ** (1 / LEVELS)
    below = int(np.ceil(np.log(threshold / low) / np.log(ratio)))
    above = int(np.ceil(np.log(high / threshold) / np.log(ratio)))
    levels = (threshold * ratio ** np.arange(-below, above + 1)).astype(np.float32)
    levels[below] = threshold
    return levels, below


def pass_numbers(
    brain: np.ndarray, anomaly: np.ndarray, finding: Finding, upright: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, int]:
    """Return by which pass each voxel was revealed; and how many passes there were: 1 if the method does not tell.

    The anomaly mask is what lies above the last pass.
    """
    if finding.revealed is None:
        return brain.astype(np.uint8) + (anomaly & brain), 1
    revealed = upright(finding.revealed)
    last = max(int(finding.search.get("passes", 0)), int(revealed[~anomaly].max(initial=1)))
    return np.where(anomaly, last + 1, revealed).astype(np.uint8), last


def quantised(image: np.ndarray, window: tuple[float, float]) -> tuple[np.ndarray, float, float]:
    """Return an image as bytes, a little beyond the window: `slope · byte + inter` is the intensity.

    Returns:
        uint8 of the image's shape, slope and inter.

    Example:
        >>> levels, slope, inter = quantised(np.array([0.0, 50.0, 100.0]), window=(0.0, 100.0))
        >>> levels.dtype, bool(np.abs(slope * levels + inter - [0.0, 50.0, 100.0]).max() < 1)
        (dtype('uint8'), True)
    """
    low, high = window
    inter = low - SPREAD * (high - low)
    slope = (1 + 2 * SPREAD) * (high - low) / 255
    return np.clip(np.rint((image - inter) / slope), 0, 255).astype(np.uint8), slope, inter


def blocks(volume: np.ndarray, by: Sequence[int], how: Callable[..., np.ndarray]) -> np.ndarray:
    """Return a volume on a coarser grid.

    Args:
        volume: 3D, uint8.
        by: voxels that become one, along each axis; those beyond the end count as 0.
        how: `np.mean` or `np.max`.

    Example:
        >>> blocks(np.arange(8.0).reshape(2, 2, 2), by=(2, 2, 2), how=np.mean).tolist()
        [[[4]]]
    """
    if max(by) == 1:
        return volume
    missing = [(0, -size % step) for size, step in zip(volume.shape, by, strict=True)]
    padded = np.pad(volume, missing)
    shape = [part for size, step in zip(padded.shape, by, strict=True) for part in (size // step, step)]
    return np.rint(how(padded.reshape(shape), axis=(1, 3, 5))).astype(np.uint8)


def coarser(affine: np.ndarray, factor: int) -> tuple[list[int], np.ndarray]:
    """Return how many voxels become one along each axis (`factor` where they are short), and the new affine.

    Example:
        >>> factors, affine = coarser(np.diag([1.0, 1.0, 5.0, 1.0]), 2)
        >>> factors
        [2, 2, 1]
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    by = [factor if edge <= SIMILAR * spacing.min() else 1 for edge in spacing]
    grid = affine @ np.diag([*by, 1.0])
    grid[:3, 3] += affine[:3, :3] @ ((np.array(by) - 1) / 2)
    return by, grid


def _packed(
    volumes: dict[str, np.ndarray], by: Sequence[int], affine: np.ndarray, scale: tuple[float, float]
) -> dict[str, str]:
    """Return the volumes on the grid of `affine` as compressed files in base64; `by` voxels become one."""

    def pack(name: str) -> str:
        volume = blocks(volumes[name], by, np.mean if name == "scan" else np.max)
        content = nifti(volume, affine, *(scale if name == "scan" else (1.0, 0.0)))
        return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode("ascii")

    with ThreadPoolExecutor(len(volumes)) as threads:  # zlib leaves Python free
        return dict(zip(volumes, threads.map(pack, volumes), strict=True))


def nifti(volume: np.ndarray, affine: np.ndarray, slope: float = 1.0, inter: float = 0.0) -> bytes:
    """Return a NIfTI-1 file of bytes as they are, with the scale that its header states.

    Example:
        >>> len(nifti(np.zeros((2, 2, 2), np.uint8), np.eye(4)))
        360
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(volume.shape)
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    header.set_sform(affine, 1)
    header.set_xyzt_units("mm")
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, inter, NIFTI_DATA
    return bytes(header.binaryblock).ljust(NIFTI_DATA, b"\0") + volume.astype(np.uint8).tobytes(order="F")


@cache
def program() -> tuple[str, str]:
    """Return NiiVue as the page holds it (gzip, base64), and the SHA-256 of its text (base64) for the page's policy.

    Example:
        >>> script, digest_of_it = program()
        >>> len(digest_of_it)
        44
    """
    packed = files("itermask.results.report").joinpath("viewer", BUNDLE).read_bytes()
    return base64.b64encode(packed).decode("ascii"), digest(gzip.decompress(packed))


def digest(script: bytes) -> str:
    """Return SHA-256 in base64, as a Content-Security-Policy names a script.

    Example:
        >>> digest(b"")
        '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return base64.b64encode(sha256(script).digest()).decode("ascii")
