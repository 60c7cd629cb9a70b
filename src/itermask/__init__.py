"""itermask: find what is not normal in brain MRI, having learned from normal scans only.

    import itermask
    finding = itermask.run("sub-01_T1w.nii.gz")  # or a Scan, a nibabel image, an array with affine=, a list of these
    finding.plot()
    finding.regions

For research use only; not a medical device and not a diagnosis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_PUBLIC = {
    "Finding": "itermask.types",
    "InputError": "itermask.errors",
    "Model": "itermask.models.folder",
    "RunSettings": "itermask.pipeline",
    "Scan": "itermask.types",
    "corrupt": "itermask.synth.artifacts",
    "load_model": "itermask.models.folder",
    "read_scan": "itermask.io.nifti",
    "refine": "itermask.core.refinement",
    "run": "itermask.run_scans",
    "sample": "itermask.samples",
    "sample_lesions": "itermask.samples",
    "write_finding": "itermask.io.outputs",
}
_MODULES = {"metrics": "itermask.evaluation.metrics.scan"}

__all__ = ["__version__", *_PUBLIC, *_MODULES]

if TYPE_CHECKING:
    from itermask.core.refinement import refine as refine
    from itermask.errors import InputError as InputError
    from itermask.evaluation.metrics import scan as metrics  # noqa: F401
    from itermask.io.nifti import read_scan as read_scan
    from itermask.io.outputs import write_finding as write_finding
    from itermask.models.folder import Model as Model
    from itermask.models.folder import load_model as load_model
    from itermask.pipeline import RunSettings as RunSettings
    from itermask.run_scans import run as run
    from itermask.samples import sample as sample
    from itermask.samples import sample_lesions as sample_lesions
    from itermask.synth.artifacts import corrupt as corrupt
    from itermask.types import Finding as Finding
    from itermask.types import Scan as Scan


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package stays quick."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _PUBLIC:
        raise AttributeError(f"module 'itermask' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
