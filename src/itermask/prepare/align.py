"""Where a head lies: a scan's brain registered to the MNI152 template, so that the model may work along its axes.

The brain's shape and its tissues are compared by Mattes mutual information (Mattes et al., PET-CT image registration in
the chest using free-form deformations, IEEE TMI 2003) through SimpleITK, so any sequence will do. The template comes
with nilearn: the ICBM 152 nonlinear symmetric average of 2009 (Fonov et al., NeuroImage 2011). All voxels are compared
and one thread computes, so the same scan gives the same transform.

Rotation, place and one size are fitted; the size is then left out, as brains are smaller than the template, which would
otherwise tilt them. What remains is rigid.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from itermask.errors import MissingExtraError
from itermask.prepare.aligned import fit_aligned_box
from itermask.types import Scan

EDGE = 4.0  # mm; voxels of the copies that are compared
FIELD = (56, 64, 56)  # their number, if the brain is not larger
AROUND = 3  # voxels around the brain that are compared too
BINS = 32
STARTS = [(0.0, 0.0, 0.0)] + [
    tuple(angle * (number == axis) for number in range(3)) for axis in range(3) for angle in (35, -35, 90, -90, 180)
]  # degrees about x, y and z, from which the registration starts; those beyond the plausible show where it must not go
STEPS = 150  # of a descent at most
FURTHEST = 60.0  # degrees by which a head in a scanner is not turned
LEAST_OVERLAP = 0.8  # share of the smaller brain, the scan's or the template's, that lies in the other
SMALLEST, LARGEST = 0.7, 1.25  # sizes of a brain over the template's, along a line
LEAVE = "correct its header, or leave alignment out"
TEMPLATE_BRAIN = 0.2  # intensity from which the template is brain, as in nilearn


@dataclass(frozen=True)
class Alignment:
    """Where a head lies.

    Attributes:
        to_mni: 4×4 rigid transform, scanner millimetres (RAS+) → millimetres along MNI axes, AC near 0.
        rotation: by which angle it turns, in degrees.
        size: how large the brain is, along a line and relative to the template; not part of `to_mni`.
        similarity: mutual information with the template after the registration, in nats.
        similarity_before: the same where the centres of both brains coincide and nothing is turned.
        overlap: share of the smaller brain, the scan's or the template's, that lies in the other, 0 to 1.
    """

    to_mni: np.ndarray
    rotation: float
    size: float
    similarity: float
    similarity_before: float
    overlap: float

    def summary(self) -> dict[str, Any]:
        """Return plain values, as a finding's settings hold them."""
        return {
            "scanner_to_mni": [[round(float(value), 6) for value in row] for row in self.to_mni],
            "rotation_degrees": round(self.rotation, 2),
            "relative_size": round(self.size, 3),
            "mutual_information": round(self.similarity, 4),
            "mutual_information_before": round(self.similarity_before, 4),
            "overlap": round(self.overlap, 3),
        }


def align_name() -> str:
    """Return how findings name the alignment.

    Raises:
        MissingExtraError: SimpleITK or nilearn is not installed.

    Example:
        >>> align_name().split()[0]
        'rigid,'
    """
    if any(importlib.util.find_spec(name) is None for name in ("SimpleITK", "nilearn")):
        raise MissingExtraError(
            "alignment needs SimpleITK and nilearn; install them with pip install 'itermask[align]'"
        )
    import SimpleITK

    return f"rigid, to MNI152 axes (SimpleITK {SimpleITK.__version__}, nilearn {version('nilearn')})"


def align(scan: Scan) -> Alignment:
    """Register a scan's brain to the MNI152 template.

    Args:
        scan: with its brain mask. Its affine must tell roughly how the head lies, as scanners' do.

    Returns:
        the alignment.

    Raises:
        ValueError: no brain mask or an empty one, NaN in the brain, a constant brain; or a registration that fails or
            that no head in a scanner could need: turned by more than 60°, hardly overlapping with the template, or no
            more similar to it than before.
        MissingExtraError: SimpleITK or nilearn is not installed.

    Example:
        >>> from dataclasses import replace
        >>> align(replace(scan, brain_mask=None))
        Traceback (most recent call last):
        ValueError: alignment needs a brain mask
    """
    align_name()
    if scan.brain_mask is None or not scan.brain_mask.any():
        raise ValueError("alignment needs a brain mask")
    image, brain, seen, affine = _reduced(scan.image, scan.brain_mask, scan.affine)
    template, template_brain, template_affine = _template()
    centre, target = _centre(brain, affine), _centre(template_brain, template_affine)
    compared = ndimage.binary_dilation(brain, iterations=AROUND) & seen
    size = float(np.clip(np.cbrt(template_brain.sum() / brain.sum()), 1 / LARGEST, 1 / SMALLEST))
    try:
        with _one_thread():
            copies = _itk(image, affine), _itk(compared, affine), _itk(template, template_affine)
            matrix, moved, before, after = _register(*copies, centre, target - centre, size)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-160:]
        raise ValueError(f"alignment: the registration fails ({reason}); {LEAVE}") from error
    size = float(np.cbrt(np.linalg.det(matrix)))
    turn = matrix / size
    to_mni, similar = np.eye(4), np.eye(4)
    to_mni[:3, :3], to_mni[:3, 3] = turn, moved - turn @ centre
    similar[:3, :3], similar[:3, 3] = matrix, moved - matrix @ centre
    overlap = _overlap(brain, np.linalg.inv(template_affine) @ similar @ affine, template_brain, size)
    rotation = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    found = Alignment(to_mni, rotation, 1 / size, after, before, overlap)
    _check(found)
    return found


def _check(found: Alignment) -> None:
    """Refuse what no head in a scanner could need."""
    problem = ""
    if not np.isfinite(found.to_mni).all() or not np.isfinite(found.similarity):
        problem = "gives no number"
    elif found.rotation > FURTHEST:
        problem = f"turns the head by {found.rotation:.0f}°, more than the {FURTHEST:.0f}° that are plausible"
    elif not SMALLEST <= found.size <= LARGEST:
        problem = f"takes the brain for {found.size:.2f} times as long as the template's"
    elif found.overlap < LEAST_OVERLAP:
        problem = f"leaves only {100 * found.overlap:.0f} % of the brain within the template's"
    elif found.similarity < found.similarity_before - 1e-3 * abs(found.similarity_before):
        problem = (
            f"ends no more similar to the template than it began ({found.similarity:.3f} after "
            f"{found.similarity_before:.3f})"
        )
    if problem:
        raise ValueError(f"alignment: the registration {problem}; {LEAVE}")


@cache
def _template() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the template as `_reduced` gives a scan: image, brain, affine."""
    from nilearn.datasets import load_mni152_template

    loaded = load_mni152_template(resolution=1)
    image = np.asarray(loaded.dataobj, dtype=np.float32)
    reduced, brain, _, affine = _reduced(image, image > TEMPLATE_BRAIN, loaded.affine)
    return reduced, brain, affine


def _reduced(
    image: np.ndarray, brain: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a small copy of a brain along the axes of its millimetres.

    Returns:
        float32 image, 0 outside the brain and 0.3 to 1 in it; boolean brain; boolean, whether the voxel was scanned;
        4×4 affine of the copy.
    """
    placement = fit_aligned_box(brain, affine, np.eye(4), (EDGE,) * 3, FIELD, 1)
    weight = np.clip(placement.to_box(brain.astype(np.float32)), 0, 1)
    total = placement.to_box(np.where(brain, image, 0))
    inside = weight >= min(0.5, 0.8 * float(weight.max()))
    values = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0.1)
    if not np.isfinite(values[inside]).all():
        raise ValueError("alignment: the brain holds NaN or infinite voxels")
    low, high = np.percentile(values[inside], [2, 98])
    if not high - low > 1e-5 * max(abs(low), abs(high)):
        raise ValueError("alignment: the brain's intensities are constant")
    scaled = weight * (0.3 + 0.7 * np.clip((values - low) / (high - low), 0, 1))
    seen = placement.to_box(np.ones(brain.shape, dtype=np.float32)) > 0.5
    return scaled.astype(np.float32), inside, seen, affine @ placement.matrix


def _centre(brain: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the centre of mass of a mask, in mm."""
    return np.asarray(affine[:3, :3] @ ndimage.center_of_mass(brain) + affine[:3, 3])


def _itk(array: np.ndarray, affine: np.ndarray) -> Any:
    """Return a small copy as SimpleITK's image; its axes are those of the millimetres."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose()).astype(np.float32))
    image.SetSpacing([EDGE] * 3)
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def _register(
    scan: Any, compared: Any, template: Any, centre: np.ndarray, shift: np.ndarray, size: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return the similarity transform of the scan's millimetres to the template's.

    From each of several turns the way is followed on coarse copies, as a head that lies far off would else end in a
    wrong place; the best is followed on.

    Args:
        scan: small copy of the scan.
        compared: which voxels of the scan take part.
        template: small copy of the template.
        centre: of the scan's brain, in mm.
        shift: from there to the centre of the template's.
        size: of the template relative to the scan's brain, along a line, to start with.

    Returns:
        3×3 matrix of rotation and size about `centre`, where `centre` goes, and the mutual information at the start
        and at the end.
    """
    import SimpleITK as sitk  # noqa: N813

    def start() -> Any:
        transform = sitk.Similarity3DTransform()
        transform.SetCenter(centre.tolist())
        transform.SetTranslation(shift.tolist())
        transform.SetScale(size)
        return transform

    coarse = [sitk.BinShrink(image, [2, 2, 2]) for image in (scan, compared, template)]
    ends = []
    for angles in STARTS:
        turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        copy, where = (_turned(image, turn, centre) for image in coarse[:2])
        ends.append((*_followed(copy, where, coarse[2], start(), 0.1), turn))
    end, _, turn = max(ends, key=lambda found: found[1])  # the first of equal ones
    copy, where = (_turned(image, turn, centre) for image in (scan, compared))
    end, after = _followed(copy, where, template, end, 0.01)
    before = -_method(compared, start()).MetricEvaluate(scan, template)
    matrix = np.array(end.GetMatrix()).reshape(3, 3) @ turn
    return matrix, np.array(end.TransformPoint(centre.tolist())), before, after


def _turned(image: Any, turn: np.ndarray, centre: np.ndarray) -> Any:
    """Return the same voxels, turned about `centre`."""
    import SimpleITK as sitk  # noqa: N813

    copy = sitk.Image(image)
    copy.SetDirection((turn @ np.array(image.GetDirection()).reshape(3, 3)).ravel().tolist())
    copy.SetOrigin((centre + turn @ (np.array(image.GetOrigin()) - centre)).tolist())
    return copy


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give SimpleITK's registration one thread; with more, sums would be taken in changing order."""
    from SimpleITK import ProcessObject

    usual = ProcessObject.GetGlobalDefaultNumberOfThreads()
    ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        ProcessObject.SetGlobalDefaultNumberOfThreads(usual)


def _method(compared: Any, transform: Any) -> Any:
    """Return how two images are compared; it changes `transform` when executed."""
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricFixedMask(sitk.Cast(compared, sitk.sitkUInt8))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    return method


def _followed(scan: Any, compared: Any, template: Any, transform: Any, least_step: float) -> tuple[Any, float]:
    """Return the end of a descent from `transform`, in steps of 4 mm and less, and the mutual information there."""
    method = _method(compared, transform)
    method.SetOptimizerAsRegularStepGradientDescent(4.0, least_step, STEPS, 0.7, gradientMagnitudeTolerance=1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.Execute(scan, template)
    return transform, -float(method.MetricEvaluate(scan, template))


def _overlap(brain: np.ndarray, to_template: np.ndarray, template_brain: np.ndarray, size: float) -> float:
    """Return the share of the smaller brain that lies in the other; `to_template` takes voxels to the template's."""
    points = to_template[:3, :3] @ np.argwhere(brain).T + to_template[:3, 3:]
    within = ndimage.map_coordinates(template_brain.astype(np.float32), points, order=1) >= 0.5
    return float(within.sum() / min(brain.sum(), template_brain.sum() / size**3))
