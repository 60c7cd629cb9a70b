"""`itermask.run`: analyses scans in whatever form Python holds them, all by way of `itermask.pipeline.analyze`.

    import itermask
    finding = itermask.run("sub-01_T1w.nii.gz")
    finding = itermask.run(nibabel_image, sequence="T1w")
    finding = itermask.run(array, affine=affine, sequence="T1w")
    for finding in itermask.run(["sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz"]):
        print(finding)

An array and an image hold nothing that tells the sequence, so it is said.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, overload

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.names import canonical_sequence
from itermask.io.nifti import read_brain_mask, scan_of_array, scan_of_image
from itermask.io.scans import read_scans
from itermask.models.choice import find
from itermask.models.folder import Model, load_model
from itermask.models.suits import known_sequence
from itermask.pipeline import RunSettings, analyze, timed
from itermask.prepare.bias import n4_name
from itermask.types import Finding, Progress, Scan

OneScan: TypeAlias = Scan | str | os.PathLike[str] | nib.spatialimages.SpatialImage | np.ndarray
OneMask: TypeAlias = str | os.PathLike[str] | nib.spatialimages.SpatialImage | np.ndarray
OnRefusal: TypeAlias = Callable[[Any, InputError], None]


@overload
def run(  # type: ignore[overload-overlap]  # a path is iterable too, but it is one scan
    scan: OneScan,
    model: Model | str | Path | None = None,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
    *,
    affine: np.ndarray | None = None,
    sequence: str | None = None,
    brain_mask: OneMask | None = None,
) -> Finding: ...


@overload
def run(
    scan: Iterable[OneScan],
    model: Model | str | Path | None = None,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
    *,
    affine: np.ndarray | None = None,
    sequence: str | None = None,
    on_refusal: OnRefusal | None = None,
) -> Iterator[Finding]: ...


def run(
    scan: OneScan | Iterable[OneScan],
    model: Model | str | Path | None = None,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
    *,
    affine: np.ndarray | None = None,
    sequence: str | None = None,
    brain_mask: OneMask | None = None,
    on_refusal: OnRefusal | None = None,
) -> Finding | Iterator[Finding]:
    """Analyse one scan, or several one after another.

    Args:
        scan: a path (NIfTI file; DICOM folder, zip or file with one fitting series), an `itermask.Scan`, a nibabel
            image, or a 3D array with `affine`. A list, or anything else that gives these one by one, gives an iterator.
        model: a loaded model, a model folder, or a bundled model's name; if None, the bundled one for each scan's
            sequence and slices. In a list each model is loaded once.
        settings: sensitivity, seed, bias correction, alignment.
        progress: called with (stage, share done).
        affine: 4×4, voxel indices → scanner millimetres (RAS+); of arrays only, which all need it.
        sequence: such as `T1w` or `FLAIR`; if None, what the scan, its file name, sidecar or DICOM header says.
        brain_mask: of one scan: a NIfTI file, a nibabel image, or an array of the scan's shape. Else it is found.
        on_refusal: of several scans: called with a scan that cannot be used, and why; the others go on. If None,
            the first such scan raises and ends the iterator.

    Returns:
        the finding, on the scan's own grid, with the scan as `finding.scan`; for several scans an iterator, which
        processes a scan when its finding is asked for.

    Raises:
        InputError: a scan, its sequence, its brain or the model cannot be used; one line says why.

    Example:
        >>> next(run([], sequence="T1w"), "no scan, no finding")
        'no scan, no finding'
    """
    if not _is_one(scan):
        if brain_mask is not None:
            raise InputError(
                "brain_mask works for a single scan; for several give itermask.Scan objects with brain masks"
            )
        return _each(iter(scan), model, settings, progress, affine, sequence, on_refusal)  # type: ignore[arg-type]
    if on_refusal is not None:
        raise InputError("on_refusal works for several scans only; for one an exception is raised")
    if settings is not None and settings.n4:
        n4_name()  # before anything is read, the extra is asked for
    timings: dict[str, float] = {}
    if isinstance(scan, (str, os.PathLike)):
        with timed(timings, "read"):
            found = as_scan(scan, affine, sequence, brain_mask)
    else:
        found = as_scan(scan, affine, sequence, brain_mask)  # type: ignore[arg-type]
    if not isinstance(model, Model):
        with timed(timings, "load model"):
            model = load_model(model, sequence=known_sequence(found), scan=found)
    finding = analyze(found, model, settings, progress)
    return replace(finding, timings=timings | finding.timings)


def as_scan(
    scan: OneScan,
    affine: np.ndarray | None = None,
    sequence: str | None = None,
    brain_mask: OneMask | None = None,
) -> Scan:
    """Return a scan from a path, a scan, a nibabel image, or an array with its affine; see `run`.

    Raises:
        InputError: it is none of these, an affine is missing or one too many, or what is there cannot be used.

    Example:
        >>> as_scan(np.arange(8.0).reshape(2, 2, 2), affine=np.eye(4), sequence="T1w").sequence
        'T1w'
    """
    if affine is not None and not isinstance(scan, np.ndarray):
        raise InputError("affine works for an array only; a path, a Scan and a nibabel image have their own")
    if isinstance(scan, (str, os.PathLike)):
        mask = brain_mask if isinstance(brain_mask, (str, os.PathLike)) else None
        found = read_scans(Path(scan), sequence, None if mask is None else Path(mask))[0].scan
        return found if mask is not None or brain_mask is None else _masked(found, brain_mask)
    if isinstance(scan, Scan):
        found = scan if sequence is None else replace(scan, sequence=canonical_sequence(sequence))
    elif isinstance(scan, np.ndarray):
        if affine is None:
            raise InputError("an array needs affine=, a 4×4 matrix from voxel indices to millimetres (RAS+)")
        found = scan_of_array(scan, affine, sequence)
    else:
        found = scan_of_image(scan, sequence)
    return found if brain_mask is None else _masked(found, brain_mask)


def _is_one(scan: Any) -> bool:
    """Return whether `scan` is a single scan; an `InputError` if it is neither one nor several."""
    if isinstance(scan, (Scan, str, os.PathLike, np.ndarray, nib.spatialimages.SpatialImage)):
        return True
    if isinstance(scan, Iterable) and not isinstance(scan, (bytes, dict)):
        return False
    raise InputError(
        f"a {type(scan).__name__} is not a scan; give a path, an itermask.Scan, a nibabel image, an array with "
        "affine=, or a list of these"
    )


def _each(
    scans: Iterator[OneScan],
    model: Model | str | Path | None,
    settings: RunSettings | None,
    progress: Progress | None,
    affine: np.ndarray | None,
    sequence: str | None,
    on_refusal: OnRefusal | None,
) -> Iterator[Finding]:
    """Yield the findings of several scans, with each model loaded once."""
    loaded: dict[Path, Model] = {}
    for one in scans:
        try:
            if not _is_one(one):
                raise InputError("a list within the list of scans; give a flat list")
            scan = as_scan(one, affine if isinstance(one, np.ndarray) else None, sequence)
            finding = analyze(scan, _model_for(scan, model, loaded), settings, progress)
        except InputError as error:
            if on_refusal is None:
                raise
            on_refusal(one, error)
            continue
        yield finding


def _model_for(scan: Scan, model: Model | str | Path | None, loaded: dict[Path, Model]) -> Model:
    """Return the model for a scan, from those loaded already if it is among them."""
    if isinstance(model, Model):
        return model
    choice = find(model, known_sequence(scan), scan)
    if choice.folder not in loaded:
        loaded[choice.folder] = load_model(choice.folder)
    return replace(loaded[choice.folder], why=choice.why)


def _masked(scan: Scan, mask: OneMask) -> Scan:
    """Return a scan with a brain mask, which must lie on its grid."""
    if isinstance(mask, (str, os.PathLike)):
        found, notes = read_brain_mask(Path(mask), scan.image.shape, scan.affine)
        return replace(scan, brain_mask=found).noted(*notes)
    if isinstance(mask, nib.spatialimages.SpatialImage):
        array, own = np.asanyarray(mask.dataobj), np.asarray(mask.affine)
        if array.shape != scan.image.shape or not np.allclose(own, scan.affine, atol=1e-3):
            raise InputError(f"{scan.name}: brain_mask does not lie on the scan's grid; resample it to the scan")
    else:
        array = np.asarray(mask)
        if array.shape != scan.image.shape:
            raise InputError(f"{scan.name}: brain_mask has shape {array.shape}, the scan {scan.image.shape}")
    if array.dtype != bool and not set(np.unique(array)) <= {0, 1}:
        raise InputError(f"{scan.name}: brain_mask must be boolean, or 0 and 1")
    if not array.any():
        raise InputError(f"{scan.name}: brain_mask is empty")
    return replace(scan, brain_mask=array.astype(bool))
