"""Can this be judged? What is asked of a scan before anything is computed: is it a whole brain of the kind learned.

The brain's volume, its shape against a template, missing pieces, the order of its tissues' brightness against the
sequence that it is said to be, and the person's age. What cannot be a brain is refused; what the model has not learned
gets no verdict; the rest is said in notes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from itermask.core.boxes import box_of
from itermask.errors import InputError
from itermask.prepare.atlas import Template, part_name, template
from itermask.prepare.register import Registration, register
from itermask.prepare.small_copy import SmallCopy, small_copy
from itermask.types import Scan

ADULT_ML = (700.0, 2200.0)  # brains of adults, with the fluid around them
POSSIBLE_ML = (300.0, 3000.0)  # beyond these it is no adult's brain
GROWN_UP = (18.0, 100.0)  # years, where a model's card does not tell whom it has learned
FITS = 0.03  # misfit up to which a shape is a brain's; healthy ones stay below 0.015, large tumours below 0.025
TILTED = 30.0  # degrees from the header's axes up to which a fit needs no second check; heads in scanners reach 25
LIES_WRONG = 60.0  # degrees from which the header is taken to be wrong
TURNED_FITS = 0.6  # of the misfit that a brain must keep at most, where it is taken for turned
GAP_FITS = 0.05  # misfit up to which a brain with a gap is followed no further
TISSUES_FIT = 0.05  # share of the intensities that the tissues must explain in a part of a brain
SURELY_FIT = 0.15  # the same where nothing else is tried
UNFIT = 0.12  # the same in a T1w scan, below which the brain mask is doubted; healthy scans have 0.25 and more
WHOLE_MM = 100.0  # a whole brain is longer than this along every direction
MISSING_ML = 5.0  # of brain that the template has and the scan lacks in one piece; healthy ones stay below 3
SURPLUS_ML = 20.0  # of brain where the template has none, above which a shape is no part of a brain
HALF = 0.35  # share of the brain missing from which a half is spoken of
SURE, ABSENT = 0.9, 0.3  # the template's brain, and the scan's share of brain, in missing tissue
VOID_ML = 1.0  # of exactly empty voxels within the brain
SHIFTS = 30.0  # mm by which the start is moved where a part of the brain may be missing


@dataclass(frozen=True)
class Population:
    """Whose brains a model has learned.

    Attributes:
        name: `adult`, or `any` for models of other brains, whose volume and shape are not questioned.
        age: youngest and oldest person, years.

    Example:
        >>> Population.of({"population": {"name": "adult", "age": [20, 86]}}).age
        (20.0, 86.0)
    """

    name: str = "adult"
    age: tuple[float, float] | None = None

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> "Population":
        """Return the population that a model card states; adults where it states none."""
        stated = card.get("population") or {}
        age = stated.get("age")
        return cls(str(stated.get("name", "adult")), None if age is None else (float(age[0]), float(age[1])))


@dataclass(frozen=True)
class Plausibility:
    """Whether a scan can be judged.

    Attributes:
        reasons: why it cannot be judged, one sentence each; empty if it can.
        notes: what a reader must know all the same.
        numbers: what was measured: `brain_ml`, and where the brain was registered `overlap`, `misfit`,
            `tissue_fit`, `csf`, `grey_matter`, `white_matter` (brightness, 0 to 1), `missing_ml`; `age` where known.
        registration: to the template; None where the brain does not fit it, or was not compared.
        missing: boolean on the scan's grid, tissue that is missing; None if nothing is.
        missing_part: which part of the brain is missing; empty if nothing is.
    """

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    registration: Registration | None = None
    missing: np.ndarray | None = None
    missing_part: str = ""

    @property
    def judged(self) -> bool:
        """Whether a verdict may be given."""
        return not self.reasons


def assess(scan: Scan, population: Population = Population(), *, slices: bool = False) -> Plausibility:
    """Ask whether a scan can be judged.

    Args:
        scan: with its brain mask.
        population: whom the model has learned.
        slices: whether the model processes single slices, so that a part of the brain will do.

    Returns:
        what was found.

    Raises:
        InputError: what the mask holds cannot be a brain, or too little of one.
        ValueError: it holds NaN, one intensity only, or too few voxels to be placed.

    Example:
        >>> assess(scan, Population("any")).judged
        True
    """
    brain = scan.brain_mask
    assert brain is not None
    age = scan.source.age if scan.source else None
    reasons = list(age_reasons(age, population))
    volume = float(brain.sum()) * float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000
    numbers = {"brain_ml": volume} | ({} if age is None else {"age": age})
    if population.name != "adult":
        return Plausibility(tuple(reasons), numbers=numbers)
    extent = _extent(brain, scan.affine)
    whole = min(extent) >= WHOLE_MM
    if slices and not whole:
        return Plausibility(tuple(reasons), tuple(_part(brain, extent)), numbers)
    _check_volume(scan, volume, extent)
    notes = list(_unusual_volume(volume))
    copy = small_copy(scan.image, brain, scan.affine)
    found, missing, turned = _placed(copy)
    numbers |= {"overlap": found.overlap, "misfit": found.misfit, "tissue_fit": found.explained}
    numbers |= dict(zip(("csf", "grey_matter", "white_matter"), found.tissues, strict=True))
    if turned:
        reasons.append(turned)
        return Plausibility(tuple(reasons), tuple(notes), numbers)
    if found.misfit > FITS and not missing.any():
        if slices:
            return Plausibility(tuple(reasons), (*notes, UNALIGNED), numbers)
        raise InputError(
            f"{scan.name}: what was found as the brain does not have the shape of one (overlap with a template "
            f"{100 * found.overlap:.0f} %); check the scan and its brain mask"
        )
    reasons += _contrast(scan.sequence, found)
    mask, part, beyond = _missing_tissue(scan, brain, copy, found, missing)
    notes += beyond
    numbers["missing_ml"] = 0.0
    if mask is not None:
        numbers["missing_ml"] = float(mask.sum()) * volume / float(brain.sum())
    return Plausibility(tuple(reasons), tuple(notes), numbers, found, mask, part)


def age_reasons(age: float | None, population: Population) -> Iterator[str]:
    """Yield why an age forbids a verdict; nothing where it does not, or is not known.

    Example:
        >>> list(age_reasons(None, Population()))
        []
    """
    youngest, oldest = population.age or GROWN_UP
    if age is not None and not youngest - 1 <= age <= oldest + 5:
        yield (
            f"The person is {age:.0f} years old, but the model has learned people from {youngest:.0f} to "
            f"{oldest:.0f} years."
        )


def _extent(brain: np.ndarray, affine: np.ndarray) -> tuple[float, float, float]:
    """Return the length of a mask's box along each array axis, mm."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    box = box_of(brain)
    a, b, c = (float((cut.stop - cut.start) * size) for cut, size in zip(box, spacing, strict=True))
    return a, b, c


def _part(brain: np.ndarray, extent: tuple[float, float, float]) -> Iterator[str]:
    """Yield what a reader of a few slices must know."""
    box = box_of(brain)
    axis = int(np.argmin(extent))
    count = box[axis].stop - box[axis].start
    yield (
        f"Only a part of the brain is in the image: {count} slice{'' if count == 1 else 's'}, "
        f"{extent[axis]:.0f} mm thick together."
    )


def _check_volume(scan: Scan, volume: float, extent: tuple[float, float, float]) -> None:
    """Refuse what is far too small or too large for an adult's brain."""
    assert scan.brain_mask is not None
    low, high = POSSIBLE_ML
    if low <= volume <= high and min(extent) >= 40:
        return
    axis = int(np.argmin(extent))
    if extent[axis] < 40 and max(extent) >= WHOLE_MM / 2:
        count = round(extent[axis] / scan.spacing[axis])
        raise InputError(
            f"{scan.name}: only {count} slice{'' if count == 1 else 's'} of the brain, {extent[axis]:.0f} mm thick "
            "together; this model needs a whole brain"
        )
    if volume < low and max(extent) < WHOLE_MM / 2:
        voxels = int(scan.brain_mask.sum())
        raise InputError(
            f"{scan.name}: only {voxels} voxels ({volume:.3g} mL) of brain; this model needs a whole brain, so check "
            "the scan and its brain mask"
        )
    raise InputError(
        f"{scan.name}: a brain of {volume:.0f} mL is not an adult's (those have {ADULT_ML[0]:.0f} to {ADULT_ML[1]:.0f} "
        "mL); check the voxel size in the header, and the brain mask"
    )


def _unusual_volume(volume: float) -> Iterator[str]:
    """Yield a note on a brain that is small or large for an adult's."""
    low, high = ADULT_ML
    if not low <= volume <= high:
        yield (
            f"The brain has {volume:.0f} mL; adults’ have {low:.0f} to {high:.0f} mL. Check the voxel size in the "
            "header, and the brain mask."
        )


def _placed(copy: SmallCopy) -> tuple[Registration, np.ndarray, str]:
    """Return the registration that fits best, missing tissue on the template's grid, and whether it lies wrong.

    A brain that does not fit as it lies is tried turned, and then with a part of it missing.
    """
    found = register(copy)
    missing = missing_on_template(copy, found)
    fits = found.misfit <= FITS or (found.misfit <= GAP_FITS and _is_part(copy, found, missing, SURELY_FIT))
    if fits and found.turned <= TILTED:
        return found, missing, ""
    turns = [(Rotation.from_euler(axis, angle, degrees=True).as_matrix(), np.zeros(3)) for axis, angle in TURNS]
    other = register(copy, turns)
    if other.misfit <= min(FITS, TURNED_FITS * found.misfit) and other.turned > LIES_WRONG:
        return other, np.zeros(1, bool), TURNED
    if fits:
        return found, missing, ""
    shifts = [np.zeros(3)] + [sign * SHIFTS * axis for axis in np.eye(3) for sign in (1, -1)]
    part = register(copy, [(np.eye(3), shift) for shift in shifts], incomplete=True)
    missing = missing_on_template(copy, part)
    if _is_part(copy, part, missing):
        return part, missing, ""
    return found, np.zeros(1, bool), ""


def _is_part(copy: SmallCopy, found: Registration, missing: np.ndarray, least: float = TISSUES_FIT) -> bool:
    """Return whether a brain fits but for missing pieces: none lies outside, tissues are where they should be."""
    return bool(missing.any()) and _surplus_ml(copy, found) < SURPLUS_ML and found.explained > least


UNALIGNED = "The brain could not be laid over a template, so it is not known whether a part of it is missing."
TURNS = (("x", 180), ("y", 180), ("z", 180), ("x", 90), ("x", -90), ("y", 90), ("y", -90), ("z", 90), ("z", -90))
TURNED = (
    "The head does not lie as the file’s header says: the brain fits only when it is turned by 90° or 180°. Correct "
    "the orientation in the header."
)


def _on_template(copy: SmallCopy, found: Registration, grid: Template) -> np.ndarray:
    """Return a brain's mask on the template's grid, 0 to 1."""
    away = np.linalg.inv(copy.affine) @ np.linalg.inv(found.to_mni) @ grid.affine
    return np.asarray(ndimage.affine_transform(copy.mask, away[:3, :3], away[:3, 3], grid.brain.shape, order=1))


def _voxel_ml(found: Registration, grid: Template) -> float:
    """Return the volume of the scan's tissue in a voxel of the template, mL."""
    return float(grid.spacing**3 / abs(np.linalg.det(found.to_mni[:3, :3]))) / 1000


def missing_on_template(copy: SmallCopy, found: Registration) -> np.ndarray:
    """Return where the template surely has brain and the scan has none: pieces of at least `MISSING_ML`.

    Returns:
        boolean on the template's grid.

    Example:
        >>> copy = small_copy(scan.image, scan.brain_mask, scan.affine)
        >>> missing_on_template(copy, register(copy)).dtype
        dtype('bool')
    """
    grid = template()
    absent = (grid.brain > SURE) & (_on_template(copy, found, grid) < ABSENT)
    parts, count = ndimage.label(absent)
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * _voxel_ml(found, grid)
    large = sizes >= MISSING_ML
    large[0] = False
    return np.asarray(large[parts])


def _surplus_ml(copy: SmallCopy, found: Registration) -> float:
    """Return how much of a brain lies where the template surely has none, mL."""
    grid = template()
    return float(((grid.brain < 0.03) & (_on_template(copy, found, grid) > 0.7)).sum()) * _voxel_ml(found, grid)


def _missing_tissue(
    scan: Scan, brain: np.ndarray, copy: SmallCopy, found: Registration, missing: np.ndarray
) -> tuple[np.ndarray | None, str, list[str]]:
    """Return missing tissue on the scan's grid or None, its text, and notes on what the image leaves out."""
    grid = template()
    voxel = _voxel_ml(found, grid)
    notes, mask, part = [], np.zeros(brain.shape, bool), ""
    if missing.any():
        points = (np.linalg.inv(scan.affine) @ np.linalg.inv(found.to_mni) @ grid.affine)[:3]
        voxels = points[:, :3] @ np.argwhere(missing).T + points[:, 3:]
        inside = ((voxels > -0.5) & (voxels < np.array(brain.shape)[:, None] - 0.5)).all(axis=0)
        beyond = float((~inside).sum()) * voxel
        if beyond >= MISSING_ML:
            notes.append(f"The image ends within the brain: about {beyond:.0f} mL of it were not scanned.")
        if inside.sum() * voxel >= MISSING_ML:
            mask = _onto_scan(missing, grid, found, scan) & ~brain
            part = which_part(missing, float(missing.sum() / max((grid.brain > 0.5).sum(), 1)))
    void = _void(scan.image, brain, scan.affine)
    if void is not None:
        middle = found.to_mni @ scan.affine @ [*np.argwhere(void).mean(axis=0), 1]
        part = part or part_name(middle[:3]) or "in the brain"
        mask |= void
    return (mask, part, notes) if mask.any() else (None, "", notes)


def _onto_scan(missing: np.ndarray, grid: Template, found: Registration, scan: Scan) -> np.ndarray:
    """Return a mask of the template's grid on the scan's, widened to where the template has more brain than not."""
    wide = ndimage.binary_dilation(missing, iterations=2) & (grid.brain > 0.5)
    away = np.linalg.inv(grid.affine) @ found.to_mni @ scan.affine
    onto = ndimage.affine_transform(wide.astype(np.float32), away[:3, :3], away[:3, 3], scan.image.shape, order=1)
    return np.asarray(onto >= 0.5)


def _void(image: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> np.ndarray | None:
    """Return exactly empty pieces within the brain mask, of at least `VOID_ML`; None if there is none.

    Empty is what equals the scan's lowest value, in blocks of 3 × 3 × 3 voxels or (in slices) 3 × 3.
    """
    window = box_of(brain)
    lowest = image.min()
    empty = (image[window] == lowest) & brain[window]
    voxel = float(abs(np.linalg.det(affine[:3, :3]))) / 1000
    if empty.sum() * voxel < VOID_ML:
        return None
    block = np.ones([3 if size > 2 else 1 for size in empty.shape])
    cores = ndimage.binary_erosion(empty, block)
    pieces = ndimage.binary_dilation(cores, block) & empty
    parts, count = ndimage.label(pieces)
    large = np.bincount(parts.ravel(), minlength=count + 1) * voxel >= VOID_ML
    large[0] = False
    if not large.any():
        return None
    void = np.zeros_like(brain)
    void[window] = large[parts]
    return void


def which_part(missing: np.ndarray, share: float) -> str:
    """Return as text which part of the brain is missing.

    Args:
        missing: boolean on the template's grid.
        share: of the brain that it is.

    Example:
        >>> where = np.indices(template().brain.shape)[0] * 4.0 - 80 < 0
        >>> which_part(where & (template().brain > 0.9), 0.5)
        'about half of the brain, the left side'
    """
    grid = template()
    points = np.argwhere(missing) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    _, y, z = points.mean(axis=0) - grid.centre
    amount = "about half of the brain, " if share > HALF else ""
    sided = np.mean(points[:, 0] > 0)
    if share > 0.15:
        if max(sided, 1 - sided) > 0.85:
            return f"{amount}the {'right' if sided > 0.5 else 'left'} side"
        ways = {"the front": y, "the back": -y, "the top": z, "the bottom": -z}
        name, far = max(ways.items(), key=lambda item: item[1])
        if far > 15:
            return f"{amount}{name}"
    if np.ptp(points[:, 0]) > 90 and share > 0.03:
        return "a slab through the brain"
    return part_name(points.mean(axis=0)) or "a part of the brain"


def _contrast(sequence: str | None, found: Registration) -> list[str]:
    """Return why the tissues' brightness does not suit the sequence; nothing for sequences whose order is not known."""
    fluid, grey, white = found.tissues
    if sequence == "T1w":
        right = white - grey > 0.12 and grey - fluid > 0.05 and found.explained >= UNFIT
        wanted = "white matter brighter than grey matter, and that brighter than the fluid"
    elif sequence == "T2w":
        right = fluid - max(grey, white) > 0.05 and white - grey < 0.15
        wanted = "fluid brighter than the brain"
    elif sequence == "FLAIR":
        right = white - fluid > 0.0 and white - grey < 0.22
        wanted = "dark fluid, and white matter hardly brighter than grey matter"
    else:
        return []
    if right:
        return []
    if sequence == "T1w" and found.explained < UNFIT:
        return [
            "Grey and white matter are not seen where they should be: it is no T1w image, or its brain mask is wrong."
        ]
    order = ", ".join(
        f"{name} {value:.2f}"
        for name, value in zip(("fluid", "grey matter", "white matter"), found.tissues, strict=True)
    )
    return [f"The contrast is not that of {sequence}, which shows {wanted}; brightness here: {order}."]
