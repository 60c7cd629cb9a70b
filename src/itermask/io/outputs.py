"""A finding, written as files: maps on the scan's own grid, numbers, and a report."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.geometry import affine_of
from itermask.io.result_folder import MARK, check_folder, expect, locked
from itermask.io.stream import reason
from itermask.results.regions import with_regions
from itermask.results.report.page import write_report
from itermask.types import Finding, Scan

MASKS, MAPS = ("anomaly", "brain"), ("error", "reconstruction")
PASSES = "passes.nii.gz"  # only of methods that refine
MISSING = "missing.nii.gz"  # only where tissue is missing
DICOM = "dicom"  # folder of the results of DICOM scans, see `itermask.io.dicom.write`
WAIT = 60.0  # seconds until another run into the same folder must have ended
OUTPUTS = (*(f"{name}.nii.gz" for name in (*MASKS, *MAPS)), "finding.json", "report.html")


def on_grid_of(scan: Scan, data: np.ndarray) -> nib.Nifti1Image:
    """Return an image with the scan's geometry, down to its header's fields and unit.

    Args:
        scan: whose grid it is.
        data: of the scan's shape.

    Returns:
        an image that lies on the scan's file in every program, also where that file gives two positions or none.

    Example:
        >>> on_grid_of(scan, scan.brain_mask.astype(np.uint8)).shape == scan.image.shape
        True
    """
    header, affine = None, scan.affine
    if scan.header is not None:
        header = scan.header.copy()
        header.set_data_dtype(data.dtype)
        # Beside the geometry, what the header and its extensions tell is of the scan, perhaps of the patient.
        header.extensions.clear()
        header["cal_min"] = header["cal_max"] = 0
        header["scl_slope"] = header["scl_inter"] = np.nan  # of the scan's numbers
        header["vox_offset"] = 0
        for field in {"aux_file", "db_name", "intent_name"} & set(header.keys()):
            header[field] = b""
        header["intent_code"] = 0
        header["descrip"] = b"itermask; research use only"
        if _is_place_of(scan):
            affine = header.get_best_affine()  # its own, in its own unit
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    return kind(data, affine, header)


def _is_place_of(scan: Scan) -> bool:
    """Return whether a scan still lies where its header says."""
    assert scan.header is not None
    try:
        return bool(np.array_equal(affine_of(Path(scan.name), scan.header)[0], scan.affine))
    except InputError:
        return False


def write_image(image: nib.Nifti1Image, path: Path) -> None:
    """Write an image to a temporary name beside `path`, then rename it.

    Example:
        >>> write_image(on_grid_of(scan, scan.image), folder / "image.nii.gz")
        >>> [path.name for path in folder.iterdir()]
        ['image.nii.gz']
    """
    partial = path.with_name(f".part-{path.name}")
    nib.save(image, partial)
    os.replace(partial, path)


def plain(value: Any) -> Any:
    """Return a value as strict JSON can hold it: numbers that are not finite become null.

    Example:
        >>> plain({"score": float("nan"), "sizes": [1.5, float("inf")]})
        {'score': None, 'sizes': [1.5, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def check_out(out: Path, *inputs: Path | None) -> None:
    """Refuse an output folder before any work is done; nothing is made.

    Args:
        out: the folder; may not exist yet.
        inputs: files and folders that are read.

    Raises:
        InputError: `out`, or what it would lie in, is a file or cannot be written to; or a result would replace an
            input, a folder, or a file that was not written by this program.

    Example:
        >>> check_out(folder / "results")
    """
    check_folder(out, (*OUTPUTS, PASSES, MISSING, DICOM), inputs)


def _move_files(source: Path, target: Path) -> None:
    """Move all files of a folder into another; if one cannot be moved, leave there what was there before."""
    names = sorted(path.name for path in source.iterdir())
    mark = target / MARK
    marked = mark.read_bytes() if mark.is_file() else None
    earlier = source / "earlier"
    moved = []
    try:
        expect(target, source)
        earlier.mkdir()
        for name in names:
            if (target / name).exists():
                shutil.copy2(target / name, earlier / name)
            os.replace(source / name, target / name)
            moved.append(name)
    except BaseException:
        for name in moved:
            if (earlier / name).exists():
                os.replace(earlier / name, target / name)
            else:
                (target / name).unlink()
        if marked is None:
            mark.unlink(missing_ok=True)
        else:
            mark.write_bytes(marked)
        raise


def _write_maps(scan: Scan, finding: Finding, folder: Path) -> None:
    """Write a finding's masks and maps into a folder."""
    for names, kind in ((MASKS, np.uint8), (MAPS, np.float32)):
        for name in names:
            nib.save(on_grid_of(scan, getattr(finding, name).astype(kind)), folder / f"{name}.nii.gz")
    if finding.revealed is not None:
        nib.save(on_grid_of(scan, finding.revealed), folder / PASSES)
    if finding.missing is not None:
        nib.save(on_grid_of(scan, finding.missing.astype(np.uint8)), folder / MISSING)


def write_finding(scan: Scan, finding: Finding, out: Path | str, extra: Mapping[str, np.ndarray] | None = None) -> Path:
    """Write `anomaly`, `error`, `reconstruction`, `brain` (`.nii.gz`), `finding.json` and `report.html`.

    Where the method refines its mask, `passes.nii.gz` says by which pass each voxel was revealed. Where tissue is
    missing, `missing.nii.gz` says which part of the mask that is.

    Everything is written to a temporary folder first and then renamed into `out`, so no file is ever half
    there; other files in `out` are left alone, and after a failure so are those of an earlier finding. A mark in
    `out` lists what was written, see `itermask.io.result_folder`; nothing else is ever replaced.

    Args:
        scan: the scan that was processed.
        finding: what was found.
        out: folder; made if needed.
        extra: further images to write, of the scan's shape, by the file's name.

    Returns:
        the folder.

    Raises:
        InputError: `out` cannot be used, see `check_out`, or another run keeps writing into it.

    Example:
        >>> out = write_finding(scan, finding, folder / "results")
        >>> sorted(path.name for path in (folder / "results").glob("*.nii.gz"))
        ['anomaly.nii.gz', 'brain.nii.gz', 'error.nii.gz', 'passes.nii.gz', 'reconstruction.nii.gz']
    """
    out = Path(out)
    check_out(out)
    with locked(out, WAIT):
        check_out(out)  # another run may have written there meanwhile
        try:
            partial = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
        except OSError as error:
            raise InputError(f"{out}: cannot be used as output folder ({reason(error)})") from error
        try:
            with ThreadPoolExecutor(1) as beside:  # compressing leaves Python free for the report
                maps = beside.submit(_write_maps, scan, finding, partial)
                summary = json.dumps(plain(with_regions(scan, finding)), indent=1, allow_nan=False)
                (partial / "finding.json").write_text(summary + "\n")
                write_report(scan, finding, partial / "report.html")
            maps.result()
            for name, array in (extra or {}).items():
                nib.save(on_grid_of(scan, array), partial / name)
            _move_files(partial, out)
            for name, sometimes in ((PASSES, finding.revealed), (MISSING, finding.missing)):
                if sometimes is None:
                    (out / name).unlink(missing_ok=True)  # of an earlier finding
        except OSError as error:
            raise InputError(f"{out}: cannot be written to ({reason(error)})") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return out
