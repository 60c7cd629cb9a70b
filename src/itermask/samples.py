"""The scans that lie in the package, for examples and first tries.

import itermask
finding = itermask.run(itermask.sample("healthy"))
"""

from pathlib import Path

import numpy as np

from itermask.errors import InputError
from itermask.io.nifti import read_mask, read_scan
from itermask.types import Scan

FOLDER = Path(__file__).parent / "demo_data"
SAMPLES = {  # name → scan, its brain mask, what experts outlined
    "healthy": ("healthy_T1w.nii.gz", "healthy_brain.nii.gz", None),
    "ms-patient": ("ms-patient_FLAIR.nii.gz", None, "ms-patient_lesion.nii.gz"),
    "ms-patient-t1w": ("ms-patient_T1w.nii.gz", None, "ms-patient_lesion.nii.gz"),
}


def sample(name: str = "healthy") -> Scan:
    """Return a scan that lies in the package.

    Args:
        name: `healthy`, a T1w scan of 2 mm with its brain mask; `ms-patient`, the FLAIR scan of 1 mm of a patient with
            multiple sclerosis, without skull; `ms-patient-t1w`, the T1w scan of the same patient.

    Raises:
        InputError: there is no scan of that name.

    Example:
        >>> sample("healthy").sequence
        'T1w'
    """
    file, brain, _ = _entry(name)
    return read_scan(FOLDER / file, brain_mask=None if brain is None else FOLDER / brain)


def sample_lesions(name: str = "ms-patient") -> np.ndarray:
    """Return the lesions that experts outlined in a scan of the package: boolean, of the scan's shape.

    Args:
        name: as for `sample`; the healthy scan has none, so that nothing is True.

    Raises:
        InputError: there is no scan of that name.

    Example:
        >>> bool(sample_lesions("healthy").any())
        False
    """
    scan, (_, _, lesions) = sample(name), _entry(name)
    if lesions is None:
        return np.zeros(scan.image.shape, bool)
    return read_mask(FOLDER / lesions, scan.image.shape, scan.affine)


def _entry(name: str) -> tuple[str, str | None, str | None]:
    """Return the files of a scan; an `InputError` lists the names."""
    if name not in SAMPLES:
        raise InputError(f"{name}: no scan of the package, which has {', '.join(SAMPLES)}")
    return SAMPLES[name]
