"""Methods: one a folder, built by name so that a model's card can say which one it belongs to."""

from importlib import import_module
from typing import Any

from itermask.config.settings_file import checked
from itermask.methods.base import Method
from itermask.types import Detection, Progress, TrainingVolume

METHODS: dict[str, str] = {
    "anyscan": "itermask.methods.anyscan:AnyScan",
    "autoencoder": "itermask.methods.baselines.autoencoder:Autoencoder",
    "cyclic-unet": "itermask.methods.cyclic_unet:CyclicUNet",
    "denoising": "itermask.methods.baselines.denoising:Denoising",
    "inpainting": "itermask.methods.baselines.inpainting:Inpainting",
    "intensity": "itermask.methods.baselines.intensity:IntensityThreshold",
    "itermask2": "itermask.methods.itermask2:IterMask2",
    "itermask3d": "itermask.methods.itermask3d:IterMask3D",
    "mmccd": "itermask.methods.mmccd:MMCCD",
    "robust-z": "itermask.methods.baselines.robust_z:RobustZ",
}

__all__ = ["METHODS", "Detection", "Method", "Progress", "TrainingVolume", "build_method"]


def build_method(name: str, settings: dict[str, Any] | None = None) -> Method:
    """Build the method `name` with its settings.

    >>> build_method("itermask3d", {"gamma": 0.01})
    Traceback (most recent call last):
        ...
    itermask.errors.InputError: method itermask3d: unknown setting gamma; known are crop, cutoff, ...

    Raises:
        ValueError: an unknown method or setting, a setting of another type or out of range.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known are {', '.join(sorted(METHODS))}")
    module, _, attribute = METHODS[name].partition(":")
    return checked(getattr(import_module(module), attribute), settings or {}, f"method {name}")
