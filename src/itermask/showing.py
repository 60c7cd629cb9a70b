"""A finding as people who work in Python see it: a line, a card in a notebook, a figure, images and a table.

`itermask.Finding` calls these functions; nothing here changes a finding.
"""

import base64
from html import escape
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.types import Finding, Scan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = ("anomaly", "brain", "error", "reconstruction", "revealed", "missing")
TITLES = ("Scan, anomaly outlined", "What the model expects", "Error")
HTML_SLICE = 200  # pixels of a slice's height in a notebook
HTML_PICTURE = 300  # at most so many in the picture itself, so that a notebook stays small
INCH = 2.4  # of a figure's slice


def one_line(finding: Finding) -> str:
    """Return what `repr` shows: the scan's name, the verdict, and how much stands out.

    Args:
        finding: any finding.

    Example:
        >>> print(one_line(finding))
        <Finding of tiny_T1w: outside the healthy range, ... mL of anomaly, score ...>
    """
    name = str(finding.settings.get("scan", "")) or (finding.scan.name if finding.scan else "")
    said = [finding.verdict, f"{anomaly_ml(finding):.3g} mL of anomaly", f"score {finding.score:.3g}"]
    if np.isfinite(finding.percentile):
        said.append(f"percentile {finding.percentile:.0f}")
    return f"<Finding{f' of {name}' if name else ''}: {', '.join(said)}>"


def anomaly_ml(finding: Finding) -> float:
    """Return the volume of the anomaly mask in mL.

    Example:
        >>> anomaly_ml(finding) >= 0
        True
    """
    return float(finding.anomaly.sum()) * float(abs(np.linalg.det(finding.affine[:3, :3]))) / 1000


def as_html(finding: Finding) -> str:
    """Return a card for a notebook: the verdict, what decided it, warnings, and a slice of each plane.

    Args:
        finding: any finding; without its scan there are no slices.

    Example:
        >>> as_html(finding).startswith("<div")
        True
    """
    from itermask.results.report.pictures import draw_planes, png

    name = str(finding.settings.get("scan", "")) or (finding.scan.name if finding.scan else "scan")
    numbers = f"{anomaly_ml(finding):.3g} mL of anomaly · score {finding.score:.3g}"
    if np.isfinite(finding.percentile):
        numbers += f" · percentile {finding.percentile:.0f} of healthy scans"
    parts = [f"<strong>{escape(name)}: {escape(finding.verdict)}</strong>"]
    parts += [f"<div>{escape(finding.headline)}</div>"] if finding.headline else []
    parts.append(f"<div>{escape(numbers)}</div>")
    if finding.scan is not None:
        for plane in draw_planes(finding.scan, finding, slices=1)[:3]:
            data = base64.b64encode(png(_at_most(plane.scan, HTML_PICTURE))).decode("ascii")
            what = escape(f"{plane.plane} slice at {plane.positions[0]}, anomaly outlined", quote=True)
            parts.append(
                f'<img src="data:image/png;base64,{data}" alt="{what}" title="{what}" '
                f'style="display:inline-block;height:{HTML_SLICE}px;margin:4px">'
            )
    parts += [f"<div>{escape(sentence)}</div>" for sentence in finding.warnings]
    parts.append("<small>For research use only; not a medical device and not a diagnosis.</small>")
    return f"<div>{''.join(parts)}</div>"


def _at_most(picture: np.ndarray, height: int) -> np.ndarray:
    """Return a picture (uint8; rows, columns, 3) that has at most `height` rows."""
    from PIL import Image

    rows, columns = picture.shape[:2]
    if rows <= height:
        return picture
    return np.asarray(Image.fromarray(picture).resize((round(columns * height / rows), height)))


def plot(finding: Finding, slices: int = 1) -> "Figure":
    """Draw a finding with Matplotlib: a row for each plane; scan, what the model expects, and error side by side.

    Args:
        finding: with its scan.
        slices: how many of each plane.

    Returns:
        a figure that `pyplot` knows, so that `pyplot.show()` shows it and `figure.savefig(path)` writes it.

    Raises:
        InputError: the finding has no scan, or the scan has no plane worth a picture.

    Example:
        >>> figure = plot(finding)
        >>> type(figure).__name__
        'Figure'
    """
    from matplotlib import pyplot

    from itermask.results.report.pictures import draw_planes

    if slices < 1:
        raise InputError(f"slices must be at least 1, not {slices}")
    planes = draw_planes(_scan_of(finding), finding, slices)
    if not planes:
        raise InputError(f"{_scan_of(finding).name}: no plane of it is large enough for a picture")
    widest = max(plane.scan.shape[1] / plane.scan.shape[0] for plane in planes)
    figure, axes = pyplot.subplots(
        len(planes), 3, squeeze=False, figsize=(3 * INCH * widest, INCH * len(planes) + 0.6), layout="constrained"
    )
    for number, (row, plane) in enumerate(zip(axes, planes, strict=True)):
        for axis, picture, title in zip(row, (plane.scan, plane.reconstruction, plane.error), TITLES, strict=True):
            axis.imshow(picture)
            axis.set_xticks([])
            axis.set_yticks([])
            if number == 0:
                axis.set_title(title, fontsize=9)
        row[0].set_ylabel(f"{plane.plane}\n{', '.join(plane.positions)}", fontsize=8)
    name = _scan_of(finding).name
    figure.suptitle(f"{name}: {finding.verdict}", fontsize=10)
    return figure


def to_nifti(finding: Finding, which: str = "anomaly") -> nib.Nifti1Image:
    """Return one of a finding's maps as a NIfTI image, on the scan's own grid.

    Args:
        finding: any finding; with its scan, the image repeats the geometry of that scan's header.
        which: `anomaly`, `brain`, `missing` (uint8, 0 and 1), `error`, `reconstruction` (float32), or `revealed`
            (uint8, the pass).

    Raises:
        InputError: there is no such map, or this finding has none of it.

    Example:
        >>> to_nifti(finding, "error").shape == scan.image.shape
        True
    """
    from itermask.io.outputs import on_grid_of

    if which not in IMAGES:
        raise InputError(f"{which}: not one of a finding's images, which are {', '.join(IMAGES)}")
    data = getattr(finding, which)
    if data is None:
        why = "its method makes no passes" if which == "revealed" else "no tissue is missing"
        raise InputError(f"this finding has no image {which!r}, as {why}")
    data = data.astype(np.uint8) if data.dtype == bool else data
    scan = finding.scan or Scan(finding.reconstruction, finding.affine)
    return on_grid_of(scan, data)


def region_rows(finding: Finding) -> list[dict[str, Any]]:
    """Return the connected regions of the anomaly mask, the largest first, one dictionary each.

    Its keys: `number`, `place`, `side`, `kind`, `volume_ml`, `voxels`, `mean_error`, `peak_error`, the voxel's indices
    `i`, `j`, `k`, its scanner coordinates `x_mm`, `y_mm`, `z_mm`, and `mni_x_mm`, `mni_y_mm`, `mni_z_mm`, which are
    None where the head was not brought to MNI space; see `itermask.results.regions.Region`.

    Args:
        finding: any finding.

    Example:
        >>> region_rows(finding)[0]["volume_ml"] > 0
        True
    """
    from itermask.results.regions import regions_of

    scan = finding.scan or Scan(finding.reconstruction, finding.affine)
    rows = []
    for number, region in enumerate(regions_of(scan, finding)[0], 1):
        mni = region.position_mni_mm or (None, None, None)
        rows.append(
            {
                "number": number,
                "place": region.place,
                "side": region.side,
                "kind": region.kind,
                "volume_ml": region.volume_ml,
                "voxels": region.voxels,
                "mean_error": region.mean_error,
                "peak_error": region.peak_error,
                **dict(zip("ijk", region.voxel, strict=True)),
                **dict(zip(("x_mm", "y_mm", "z_mm"), region.position_mm, strict=True)),
                **dict(zip(("mni_x_mm", "mni_y_mm", "mni_z_mm"), mni, strict=True)),
            }
        )
    return rows


REGION_COLUMNS = (
    "number", "place", "side", "kind", "volume_ml", "voxels", "mean_error", "peak_error",
    "i", "j", "k", "x_mm", "y_mm", "z_mm", "mni_x_mm", "mni_y_mm", "mni_z_mm",
)  # fmt: skip


def region_table(finding: Finding) -> Any:
    """Return `region_rows` as a pandas table with `REGION_COLUMNS`; as the list itself where pandas is not installed.

    Args:
        finding: any finding.

    Example:
        >>> len(region_table(finding)) == len(region_rows(finding))
        True
    """
    rows = region_rows(finding)
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows, columns=list(REGION_COLUMNS))


def _scan_of(finding: Finding) -> Scan:
    """Return the scan of a finding; an `InputError` says how to get a finding with one."""
    if finding.scan is None:
        raise InputError(
            "this finding does not hold its scan; take one from itermask.run, or use dataclasses.replace(…, scan=scan)"
        )
    return finding.scan
