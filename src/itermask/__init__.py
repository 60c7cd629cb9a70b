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
    "Finding": "itermask.finding",
    "InputError": "itermask.errors",
    "Model": "itermask.models.folder",
    "RunSettings": "itermask.pipeline",
    "Scan": "itermask.scan",
    "corrupt": "itermask.artifacts",
    "load_model": "itermask.models.folder",
    "read_scan": "itermask.io.nifti",
    "refine": "itermask.refinement",
    "run": "itermask.look",
    "write_finding": "itermask.io.outputs",
}
_MODULES = {"metrics": "itermask.evaluation.metrics"}

__all__ = [
    "Finding",
    "InputError",
    "Model",
    "RunSettings",
    "Scan",
    "__version__",
    "corrupt",
    "load_model",
    "metrics",
    "read_scan",
    "refine",
    "run",
    "write_finding",
]

if TYPE_CHECKING:
    from itermask.artifacts import corrupt
    from itermask.errors import InputError
    from itermask.evaluation import metrics
    from itermask.finding import Finding
    from itermask.io.nifti import read_scan
    from itermask.io.outputs import write_finding
    from itermask.look import run
    from itermask.models.folder import Model, load_model
    from itermask.pipeline import RunSettings
    from itermask.refinement import refine
    from itermask.scan import Scan


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that importing the package stays quick."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _PUBLIC:
        raise AttributeError(f"module 'itermask' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
