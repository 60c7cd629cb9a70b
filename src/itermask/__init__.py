"""itermask: find what is not normal in brain MRI, having learned from normal scans only.

    import itermask
    model = itermask.load_model("t1w-2mm")
    finding = itermask.run("sub-01_T1w.nii.gz", model)

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
    "load_model": "itermask.models.folder",
    "read_scan": "itermask.io.nifti",
    "run": "itermask.pipeline",
    "write_finding": "itermask.io.outputs",
}

__all__ = [
    "Finding",
    "InputError",
    "Model",
    "RunSettings",
    "Scan",
    "__version__",
    "load_model",
    "read_scan",
    "run",
    "write_finding",
]

if TYPE_CHECKING:
    from itermask.errors import InputError
    from itermask.finding import Finding
    from itermask.io.nifti import read_scan
    from itermask.io.outputs import write_finding
    from itermask.models.folder import Model, load_model
    from itermask.pipeline import RunSettings, run
    from itermask.scan import Scan


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that importing the package stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'itermask' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
