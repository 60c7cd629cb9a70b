"""What an artifact is, which ones there are, and how one is put on a scan.

An artifact is two functions: `draw` turns a severity into physical parameters (all the randomness there is),
`apply` puts those parameters on an image. A new one is one file that calls `register`, and its test. The file's first
line says what the artifact is, the rest what its severity is physically.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SEVERITIES = (0.0, 10.0)
FOREGROUND = 0.1  # without a brain mask: voxels above this share of the 99th percentile
REFERENCE = 90.0  # percentile of the brain's intensities that noise and stripes are measured against
PIXEL = 2.0  # mm, the pixels that the strength of what differs from voxel to voxel is stated for

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What an artifact's parameters are drawn for.

    Attributes:
        image: float32, 3D, non-negative intensities.
        brain: boolean, shape of `image`, not empty; the foreground if no brain mask is known.
        spacing: voxel size in mm along each axis.
        axis: axis asked for (0, 1 or 2), or None to leave it to the artifact.
        direction: +1 if the head's top lies towards high indices of that axis, −1 if towards low ones.
        reference: 90th percentile of the brain's intensities.
        up: axis that runs along the head, from neck to top.
    """

    image: np.ndarray
    brain: np.ndarray
    spacing: tuple[float, ...]
    axis: int | None
    direction: int
    reference: float
    up: int = 2


@dataclass(frozen=True)
class Artifact:
    """One way to corrupt a scan.

    Attributes:
        name: key in `ARTIFACTS`.
        draw: (subject, severity, rng) → parameters: plain numbers and lists, so that they can be written as JSON;
            the severity is above 0.
        apply: (image, parameters) → corrupted magnitude image of the same shape; the image is left as it is.
        region: (shape, parameters) → boolean array of the voxels that are destroyed; None where no such set
            is meaningful.
    """

    name: str
    draw: Callable[[Subject, float, np.random.Generator], Parameters]
    apply: Callable[[np.ndarray, Parameters], np.ndarray]
    region: Callable[[tuple[int, ...], Parameters], np.ndarray] | None = None


@dataclass(frozen=True)
class Corrupted:
    """A corrupted scan.

    Attributes:
        image: float32, shape of the scan, non-negative. A stripped scan is to be masked again by the caller:
            noise, ghosts and stripes do not stop at the brain.
        parameters: `severity`, and what was drawn for it, in physical terms; `replay` applies it again.
        damaged: boolean, the brain voxels that were destroyed; None where no such set is meaningful.
    """

    image: np.ndarray
    parameters: Parameters
    damaged: np.ndarray | None


ARTIFACTS: dict[str, Artifact] = {}


def register(artifact: Artifact) -> None:
    """Add an artifact to `ARTIFACTS`; `ValueError` if the name is taken.

    Example:
        >>> register(Artifact("fading", lambda subject, severity, rng: {}, lambda image, parameters: image / 2))
        >>> ARTIFACTS.pop("fading").name
        'fading'
    """
    if artifact.name in ARTIFACTS:
        raise ValueError(f"there is already an artifact {artifact.name!r}")
    ARTIFACTS[artifact.name] = artifact


def corrupt(
    image: np.ndarray,
    artifact: str,
    severity: float,
    rng: np.random.Generator | int,
    axis: int | None = None,
    brain: np.ndarray | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    direction: int = 1,
    up: int = 2,
) -> Corrupted:
    """Corrupt a scan with one artifact.

    With one seed, a higher severity is the same artifact, stronger. Severity 5 is clearly visible to a
    radiographer; each artifact's module says what it means physically. Severity 0 is the scan as it is.

    Args:
        image: 3D intensities of a whole head or a stripped brain, non-negative, in any unit.
        artifact: a name in `ARTIFACTS`.
        severity: 0 (nothing), 1 (subtle) to 10 (gross); need not be whole.
        rng: random generator, or a seed for one; the only source of randomness. Severity 0 draws nothing.
        axis: axis of the missing slab, of phase encoding, or what else the artifact's module calls its axis; None
            for the artifact's own choice. Artifacts without a direction ignore it.
        brain: boolean brain mask; the voxels above a tenth of the 99th percentile if None.
        spacing: voxel size in mm along each axis.
        direction: +1 if the head's top lies towards high indices along `axis`, −1 if towards low ones.
        up: axis that runs along the head; the missing chunks lie across it unless `axis` says otherwise.

    Returns:
        the corrupted image, what was drawn, and the damaged voxels. At severity 0 a copy of the image, no parameters
        but the severity, and no voxel damaged.

    Raises:
        ValueError: unknown artifact, severity, axis or direction out of range, an image that is not 3D or holds
            NaN, infinity or negative values, an empty or ill-fitting brain mask, a voxel size that is not
            positive, or a severity that the artifact cannot have on this scan.
        MissingExtraError: the artifact needs TorchIO, which is not installed.

    Example:
        >>> image = np.random.default_rng(0).random((16, 16, 16)).astype(np.float32)
        >>> corrupted = corrupt(image, "gaussian_noise", severity=5, rng=0)
        >>> corrupted.image.shape, bool((corrupted.image != image).any())
        ((16, 16, 16), True)
    """
    known = _known(artifact)
    image = _magnitudes(image)
    if not SEVERITIES[0] <= severity <= SEVERITIES[1]:
        raise ValueError(f"severity {severity} is not between {SEVERITIES[0]:g} and {SEVERITIES[1]:g}")
    for name, value in (("axis", axis), ("up", up)):
        if value not in ((None, 0, 1, 2) if name == "axis" else (0, 1, 2)):
            raise ValueError(f"{name} {value} is not 0, 1 or 2")
    if direction not in (1, -1):
        raise ValueError(f"direction {direction} is not 1 or -1")
    if len(spacing) != 3 or any(not (size > 0 and np.isfinite(size)) for size in spacing):
        raise ValueError(f"spacing {tuple(spacing)} must be three positive sizes in mm")
    if brain is None:
        brain = image > FOREGROUND * np.percentile(image, 99)
    brain = np.asarray(brain, dtype=bool)
    if brain.shape != image.shape:
        raise ValueError(f"brain mask {brain.shape} does not fit image {image.shape}")
    if not brain.any():
        raise ValueError("the brain mask is empty, or the image has no foreground")
    reference = float(np.percentile(image[brain], REFERENCE))
    subject = Subject(image, brain, tuple(float(size) for size in spacing), axis, direction, reference, up)
    parameters: Parameters = {"severity": float(severity)}
    damaged = None if known.region is None else np.zeros(image.shape, dtype=bool)
    if severity > 0:
        parameters |= known.draw(subject, float(severity), np.random.default_rng(rng))
        damaged = None if known.region is None else known.region(image.shape, parameters) & brain
    return Corrupted(replay(image, artifact, parameters), parameters, damaged)


def replay(image: np.ndarray, artifact: str, parameters: Parameters) -> np.ndarray:
    """Apply an artifact with parameters that were drawn before, to the same scan or one of the same shape.

    Args:
        image: 3D intensities, non-negative.
        artifact: a name in `ARTIFACTS`.
        parameters: `Corrupted.parameters`, also after a round trip through JSON.

    Returns:
        float32 image of the same shape, non-negative; a copy of the image if the parameters' `severity` is 0.

    Raises:
        ValueError: unknown artifact, or an image that is not 3D or holds NaN, infinity or negative values.
        MissingExtraError: the artifact needs TorchIO, which is not installed.

    Example:
        >>> image = np.random.default_rng(0).random((16, 16, 16)).astype(np.float32)
        >>> corrupted = corrupt(image, "ghosting", severity=5, rng=0)
        >>> bool((replay(image, "ghosting", corrupted.parameters) == corrupted.image).all())
        True
    """
    known, image = _known(artifact), _magnitudes(image)
    if parameters.get("severity") == 0:
        return image.copy()
    return known.apply(image, parameters).astype(np.float32, copy=False)


def summary(artifact: str) -> str:
    """Return the first line of what an artifact's module says of it; `ValueError` if the name is unknown.

    Example:
        >>> summary("ghosting").split(":")[0]
        'Ghosting'
    """
    text = sys.modules[_known(artifact).apply.__module__].__doc__ or ""
    return text.partition("\n")[0]


def choose_axis(subject: Subject, rng: np.random.Generator) -> int:
    """Return the axis asked for, or a random one; one number is drawn either way.

    Example:
        >>> choose_axis(subject, np.random.default_rng(0))
        1
    """
    chosen = int(rng.integers(3))
    return chosen if subject.axis is None else subject.axis


def in_slice(strength: float, spacing: Sequence[float]) -> float:
    """Return the strength on this scan's voxels of noise that is to look as `strength` does on pixels of 2 mm.

    Who reads a slice takes in a patch of it at once, in which independent voxels cancel out: noise looks alike where
    its standard deviation times the edge of a pixel is the same. The slice lies across the longest voxel edge.

    Example:
        >>> round(in_slice(1.0, (2.0, 2.0, 2.0)), 3)
        1.0
    """
    first, second, _ = sorted(spacing)
    return strength * PIXEL / float(np.sqrt(first * second))


def on_line(strength: float, spacing: float) -> float:
    """Return the same for what differs from voxel to voxel along one axis of a slice only, with that axis' voxel size.

    Example:
        >>> round(on_line(1.0, 2.0), 3)
        1.0
    """
    return strength * float(np.sqrt(PIXEL / spacing))


def extent(mask: np.ndarray, axis: int) -> tuple[int, int]:
    """Return the first slice along `axis` that holds a voxel of a mask that is not empty, and one past the last.

    Example:
        >>> mask = np.zeros((4, 4, 4), bool)
        >>> mask[1:3] = True
        >>> extent(mask, axis=0)
        (1, 3)
    """
    occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
    return int(occupied[0]), int(occupied[-1]) + 1


def along(values: np.ndarray, axis: int) -> np.ndarray:
    """Return a row of numbers, shaped to be broadcast along `axis` of a volume.

    Example:
        >>> along(np.arange(3), axis=1).shape
        (1, 3, 1)
    """
    return values.reshape([-1 if a == axis else 1 for a in range(3)])


def slab(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    """Return the index of the slices from `start` to `stop` (excluded) along `axis` of a volume.

    Example:
        >>> slab(1, 2, 5)
        (slice(None, None, None), slice(2, 5, None), slice(None, None, None))
    """
    return tuple(slice(start, stop) if a == axis else slice(None) for a in range(3))


def _known(artifact: str) -> Artifact:
    if artifact not in ARTIFACTS:
        raise ValueError(f"unknown artifact {artifact!r}; known are {', '.join(sorted(ARTIFACTS))}")
    return ARTIFACTS[artifact]


def _magnitudes(image: np.ndarray) -> np.ndarray:
    """Return the image as float32, checked to be a 3D magnitude image."""
    image = np.asarray(image, dtype=np.float32)
    if image.ndim != 3 or image.size == 0:
        raise ValueError(f"an image with 3 axes is needed, not one of shape {image.shape}")
    if not np.isfinite(image).all() or image.min() < 0:
        raise ValueError("the image holds NaN, infinite or negative voxels; magnitudes are needed")
    return image
