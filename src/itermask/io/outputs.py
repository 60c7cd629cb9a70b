"""A finding, written as files: maps on the scan's own grid, numbers, and a report."""

import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.finding import Finding
from itermask.report.page import write_report
from itermask.scan import Scan


def on_grid_of(scan: Scan, data: np.ndarray) -> nib.Nifti1Image:
    """An image with the scan's geometry, down to its header's fields."""
    header = None
    if scan.header is not None:
        header = scan.header.copy()
        header.set_data_dtype(data.dtype)
        header["cal_min"] = header["cal_max"] = 0
        header["descrip"] = b"itermask; research use only"
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    return kind(data, scan.affine, header)


def write_image(image: nib.Nifti1Image, path: Path) -> None:
    """Write an image to a temporary name beside `path`, then rename it."""
    partial = path.with_name(f".part-{path.name}")
    nib.save(image, partial)
    os.replace(partial, path)


def plain(value: Any) -> Any:
    """A value as strict JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_finding(scan: Scan, finding: Finding, out: Path | str) -> Path:
    """Write `anomaly`, `error`, `reconstruction`, `brain` (`.nii.gz`), `finding.json` and `report.html`.

    Everything is written to a temporary folder first and then renamed into `out`, so no file is ever half
    there; other files in `out` are left alone.

    Args:
        scan: the scan that was looked at.
        finding: what was found.
        out: folder; made if needed.

    Returns:
        the folder.

    Raises:
        InputError: `out` is a file or cannot be written to.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
    except OSError as error:
        raise InputError(f"{out}: cannot be used as output folder ({error.strerror})") from error
    try:
        masks = {"anomaly": finding.anomaly, "brain": finding.brain}
        maps = {"error": finding.error, "reconstruction": finding.reconstruction}
        for name, array in masks.items():
            nib.save(on_grid_of(scan, array.astype(np.uint8)), partial / f"{name}.nii.gz")
        for name, array in maps.items():
            nib.save(on_grid_of(scan, array.astype(np.float32)), partial / f"{name}.nii.gz")
        (partial / "finding.json").write_text(json.dumps(plain(finding.summary()), indent=1, allow_nan=False) + "\n")
        write_report(scan, finding, partial / "report.html")
        for path in sorted(partial.iterdir()):
            os.replace(path, out / path.name)
    except OSError as error:
        raise InputError(f"{out}: cannot be written to ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out
