"""Slices of a finding as pictures: scan with the anomaly's contour, reconstruction, error map.

Pictures are in radiological convention: the patient's right is on the left of axial and coronal slices, and
the face is on the left of sagittal slices. An array in L-P-I order needs only a transpose for that.
"""

import io
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from itermask.prepare.placement import thick_axis
from itermask.types import Finding, Scan

PLANES = ("axial", "coronal", "sagittal")
AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}  # of an array in L-P-I order
EDGES = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}  # left, right, top, bottom
AXES = ("x", "y", "z")  # of the scanner: towards right, front and top
SLICES = 5  # a plane
STACK_SLICES, STACK_ROW = 30, 6  # of a thick stack: at most so many, so many in a row
ROW_WIDTH = 1500  # pixels of a full row of slices
MAX_TILE = 460  # pixels of one slice's longer side
MARGIN = 8.0  # mm around the brain
THIN = 0.2  # planes with a side shorter than this share of the longest are not worth a picture
GAP = 6  # white pixels between slices
CONTOUR = (255, 40, 40)
LETTER = (235, 235, 235)
COLOURMAP = "inferno"


@dataclass(frozen=True)
class PlanePictures:
    """One plane's rows of slices, or some slices of a thick stack; all three rows show the same slices alike.

    Attributes:
        plane: one of `PLANES`.
        positions: where each slice lies, such as `S 24 mm`.
        file_axis: axis of the scan's array that the slices are cut across.
        file_slices: the slices' indices along that axis.
        scan: uint8 (rows, columns, 3), the scan with the anomaly's contour.
        reconstruction: the same, what the model expects.
        error: the same, the error map.
    """

    plane: str
    positions: tuple[str, ...]
    file_axis: int
    file_slices: tuple[int, ...]
    scan: np.ndarray
    reconstruction: np.ndarray
    error: np.ndarray


def display_order(affine: np.ndarray) -> np.ndarray:
    """Return the orientation transform (nibabel) that brings an array into L-P-I order, as near as its axes allow.

    Example:
        >>> display_order(np.eye(4)).tolist()
        [[0.0, -1.0], [1.0, -1.0], [2.0, -1.0]]
    """
    return nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(("L", "P", "I"))
    )


def brain_box(brain: np.ndarray, spacing: np.ndarray, margin: float = MARGIN) -> tuple[slice, ...]:
    """Return slices around the brain with `margin` mm to each side; the whole array if there is no brain.

    Example:
        >>> brain = np.zeros((20, 20, 20), bool)
        >>> brain[8:12, 8:12, 8:12] = True
        >>> [(int(part.start), int(part.stop)) for part in brain_box(brain, np.array([1.0, 1.0, 2.0]), margin=2.0)]
        [(6, 14), (6, 14), (7, 13)]
    """
    box = []
    for axis, step in enumerate(spacing):
        inside = np.flatnonzero(brain.any(axis=tuple(other for other in range(3) if other != axis)))
        if not inside.size:
            return tuple(slice(0, size) for size in brain.shape)
        extra = int(np.ceil(margin / step))
        box.append(slice(max(0, inside[0] - extra), min(brain.shape[axis], inside[-1] + 1 + extra)))
    return tuple(box)


def choose_slices(anomaly: np.ndarray, brain: np.ndarray, axis: int, count: int = SLICES) -> list[int]:
    """Return slices that show most: evenly through the brain, half of them moved to where the anomaly is largest.

    Args:
        anomaly: boolean.
        brain: boolean, shape of `anomaly`.
        axis: the axis that the slices are cut across.
        count: how many slices at most.

    Returns:
        ascending indices along `axis`.

    Example:
        >>> choose_slices(np.zeros((10, 4, 4), bool), np.ones((10, 4, 4), bool), axis=0, count=3)
        [1, 5, 8]
    """
    others = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero(brain.any(axis=others))
    first, last = (inside[0], inside[-1]) if inside.size else (0, brain.shape[axis] - 1)
    extent = last - first + 1
    if extent <= count:
        return list(range(first, last + 1))
    chosen = [int(first + extent * (slot + 0.5) / count) for slot in range(count)]
    area = anomaly.sum(axis=others)
    apart = max(1, extent // (2 * count))
    even = list(chosen)
    for _ in range((count + 1) // 2):
        peak = int(area.argmax())
        if not area[peak] or not even:
            break
        nearest = min(even, key=lambda index: abs(index - peak))
        even.remove(nearest)
        chosen[chosen.index(nearest)] = peak
        area[max(0, peak - apart) : peak + apart + 1] = 0
    return sorted(set(chosen))


def grey_window(image: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
    """Return intensities shown as black and as white: the brain's 0.5th and 99.5th percentile.

    Example:
        >>> low, high = grey_window(np.arange(1001.0), np.ones(1001, bool))
        >>> round(low), round(high)
        (5, 995)
    """
    low, high = np.percentile(image[brain] if brain.any() else image, (0.5, 99.5))
    return float(low), float(high if high > low else low + 1)


def error_ceiling(finding: Finding) -> float:
    """Return the error at the bright end of the colour map: the brain's 99.5th percentile, but more than the threshold.

    Example:
        >>> error_ceiling(finding) > 0
        True
    """
    errors = finding.error[finding.brain]
    ceiling = float(np.percentile(errors, 99.5)) if errors.size else 0.0
    if np.isfinite(finding.threshold):
        ceiling = max(ceiling, min(1.25 * finding.threshold, float(errors.max(initial=0))))
    return ceiling if np.isfinite(ceiling) and ceiling > 0 else 1.0


def colours(levels: np.ndarray) -> np.ndarray:
    """Return levels from 0 to 1 as uint8 RGB of the error map's colour map (one more axis, of 3).

    Example:
        >>> colours(np.array([0.0, 1.0])).shape
        (2, 3)
    """
    from matplotlib import colormaps

    return colormaps[COLOURMAP](levels, bytes=True)[..., :3]


def outline(mask: np.ndarray, width: int = 2) -> np.ndarray:
    """Return pixels just outside a mask, `width` pixels wide, so that the contour hides nothing of what it marks.

    Example:
        >>> mask = np.zeros((5, 5), bool)
        >>> mask[2, 2] = True
        >>> outline(mask, width=1).astype(int).tolist()
        [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    """
    return ndimage.binary_dilation(mask, ndimage.generate_binary_structure(2, 2), iterations=width) & ~mask


def scan_tile(
    image: np.ndarray, anomaly: np.ndarray, window: tuple[float, float], pixels: tuple[int, int]
) -> np.ndarray:
    """Return one slice in grey with the anomaly's contour in red.

    Args:
        image: one slice as it is to be shown (rows, columns).
        anomaly: boolean, shape of `image`.
        window: intensities shown as black and as white.
        pixels: rows and columns of the picture.

    Returns:
        uint8 RGB, `pixels` × 3.

    Example:
        >>> scan_tile(np.zeros((4, 4)), np.zeros((4, 4), bool), (0.0, 1.0), (8, 8)).shape
        (8, 8, 3)
    """
    tile = grey_tile(image, window, pixels)
    tile[outline(_resize(anomaly, pixels, Image.Resampling.BOX) > 0)] = CONTOUR
    return tile


def grey_tile(image: np.ndarray, window: tuple[float, float], pixels: tuple[int, int]) -> np.ndarray:
    """Return one slice in grey; see `scan_tile`.

    Example:
        >>> grey_tile(np.zeros((4, 4)), (0.0, 1.0), (8, 8)).shape
        (8, 8, 3)
    """
    low, high = window
    grey = np.clip((_resize(image, pixels, Image.Resampling.BICUBIC) - low) / (high - low), 0, 1)
    return np.repeat(np.rint(255 * grey).astype(np.uint8)[..., None], 3, axis=2)


def error_tile(error: np.ndarray, ceiling: float, pixels: tuple[int, int]) -> np.ndarray:
    """Return one slice of an error map in colours from 0 to `ceiling`; see `scan_tile`.

    Example:
        >>> error_tile(np.zeros((4, 4)), 1.0, (8, 8)).shape
        (8, 8, 3)
    """
    return colours(np.clip(_resize(error, pixels, Image.Resampling.BILINEAR) / ceiling, 0, 1))


def _resize(array: np.ndarray, pixels: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """Return a slice on another grid, float32."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(array, dtype=np.float32)).resize(pixels[::-1], how))


def draw_planes(scan: Scan, finding: Finding, slices: int = SLICES) -> list[PlanePictures]:
    """Return all planes worth a picture, cropped to the brain, all at the same scale.

    Planes in which the volume is a mere line (of a single slice, of a thin slab) are left out. Of a stack of thick
    slices these alone are shown, all of them if they are not too many, `STACK_ROW` a picture.

    Raises:
        ValueError: the finding's maps do not have the scan's shape.

    Example:
        >>> len(draw_planes(scan, finding, slices=1))
        3
    """
    maps = (finding.anomaly, finding.error, finding.reconstruction, finding.brain)
    for array in maps:
        if array.shape != scan.image.shape:
            raise ValueError(f"{scan.name}: a map of shape {array.shape} does not fit the scan {scan.image.shape}")
    order = display_order(finding.affine)
    image, anomaly, error, reconstruction, brain = (
        nib.orientations.apply_orientation(array, order) for array in (scan.image, *maps)
    )
    affine = finding.affine @ nib.orientations.inv_ornt_aff(order, scan.image.shape)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    window, ceiling = grey_window(image, brain), error_ceiling(finding)
    reconstruction = np.where(brain, reconstruction, window[0])
    box = brain_box(brain, spacing)
    extent = np.array([part.stop - part.start for part in box]) * spacing
    flat = [size < 2 or length < THIN * extent.max() for size, length in zip(brain.shape, extent, strict=True)]

    thick = thick_axis(spacing, brain.shape)
    shown = []
    for plane in PLANES:
        across, down = (axis for axis in range(3) if axis != AXIS[plane])
        if AXIS[plane] == thick:
            chosen = choose_slices(anomaly, brain, thick, STACK_SLICES)
            parts = np.array_split(chosen, -(-len(chosen) // STACK_ROW))
            shown += [(plane, across, down, part.tolist()) for part in parts]
        elif thick is None and not flat[across] and not flat[down]:
            shown.append((plane, across, down, choose_slices(anomaly, brain, AXIS[plane], slices)))
    if not shown:
        return []
    columns = max(len(chosen) for _, _, _, chosen in shown)
    width = max(extent[across] for _, across, _, _ in shown)
    longest = max(max(extent[across], extent[down]) for _, across, down, _ in shown)
    scale = min((ROW_WIDTH + GAP) / columns - GAP, MAX_TILE * width / longest) / width  # pixels per mm

    pictures = []
    for plane, across, down, chosen in shown:
        axis = AXIS[plane]
        pixels = (max(1, round(extent[down] * scale)), max(1, round(extent[across] * scale)))
        tile_width = max(pixels[1], round(width * scale))
        centre = np.array([(part.start + part.stop - 1) / 2 for part in box] + [1.0])
        rows: tuple[list, list, list] = ([], [], [])
        positions = []
        for index in chosen:
            cut = tuple(index if other == axis else part for other, part in enumerate(box))
            tiles = (
                scan_tile(image[cut].T, anomaly[cut].T, window, pixels),
                grey_tile(reconstruction[cut].T, window, pixels),
                error_tile(error[cut].T, ceiling, pixels),
            )
            centre[axis] = index
            positions.append(_position_text((affine @ centre)[axis], axis))
            for row, tile in zip(rows, tiles, strict=True):
                row.append(_label(_pad(tile, tile_width), EDGES[plane], positions[-1] if row is rows[0] else ""))
        file_axis = int(np.flatnonzero(order[:, 0] == axis)[0])
        flipped = order[file_axis, 1] < 0
        file_slices = tuple(brain.shape[axis] - 1 - index if flipped else index for index in chosen)
        pictures.append(PlanePictures(plane, tuple(positions), file_axis, file_slices, *map(_join, rows)))
    return pictures


def _position_text(position: float, axis: int) -> str:
    """Return a position in signed mm along a scanner axis; a letter such as L would name a side."""
    return f"{AXES[axis]} {signed(position)} mm"


def signed(value: float) -> str:
    """Return whole millimetres with their sign.

    >>> signed(12.4), signed(-3.0), signed(-0.2)
    ('+12', '−3', '0')
    """
    whole = round(float(value))
    return "0" if whole == 0 else f"{whole:+d}".replace("-", "−")


def _pad(tile: np.ndarray, width: int) -> np.ndarray:
    """Return a tile in the middle of a black one of `width` columns."""
    spare = width - tile.shape[1]
    return np.pad(tile, ((0, 0), (spare // 2, spare - spare // 2), (0, 0)))


def _join(tiles: list[np.ndarray]) -> np.ndarray:
    """Return tiles side by side, with white gaps."""
    spaced = [np.pad(tile, ((0, 0), (0, GAP), (0, 0)), constant_values=255) for tile in tiles[:-1]]
    return np.concatenate([*spaced, tiles[-1]], axis=1)


def _label(tile: np.ndarray, edges: str, place: str) -> np.ndarray:
    """Return a tile with the letters of its four edges, and where it lies in its lower left corner."""
    picture = Image.fromarray(tile)
    draw = ImageDraw.Draw(picture)
    rows, columns = tile.shape[:2]
    font = ImageFont.load_default(max(9, min(17, rows // 8)))
    spots = (
        (5, rows / 2, "lm", edges[0]),
        (columns - 5, rows / 2, "rm", edges[1]),
        (columns / 2, 3, "mt", edges[2]),
        (columns / 2, rows - 4, "mb", edges[3]),
        (5, rows - 4, "lb", place),
    )
    for x, y, anchor, text in spots:
        draw.text((x, y), text.replace("\u2212", "-"), LETTER, font, anchor, stroke_width=2, stroke_fill=(0, 0, 0))
    return np.asarray(picture)


def tilt(affine: np.ndarray) -> float:
    """Return the largest angle in degrees between an array axis and the scanner axis nearest to it.

    Example:
        >>> round(tilt(np.eye(4)), 3)
        0.0
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(directions).max(axis=0).min(), 0, 1))))


def png(rgb: np.ndarray) -> bytes:
    r"""Return a picture as a PNG file.

    Example:
        >>> png(np.zeros((2, 2, 3), np.uint8))[:4]
        b'\x89PNG'
    """
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=3)  # half the time of 6, and 3 % larger
    return buffer.getvalue()
