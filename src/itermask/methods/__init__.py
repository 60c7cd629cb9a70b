"""Methods: one a folder, built by name so that a model's card can say which one it belongs to."""

from importlib import import_module
from typing import Any

from itermask.methods.base import Detection, Method, Progress, TrainingVolume
from itermask.settings_file import checked

METHODS: dict[str, str] = {
    "anyscan": "itermask.methods.anyscan:AnyScan",
    "autoencoder": "itermask.methods.autoencoder:Autoencoder",
    "cyclic-unet": "itermask.methods.cyclic_unet:CyclicUNet",
    "denoising": "itermask.methods.denoising:Denoising",
    "inpainting": "itermask.methods.inpainting:Inpainting",
    "intensity": "itermask.methods.intensity:IntensityThreshold",
    "itermask2": "itermask.methods.itermask2:IterMask2",
    "itermask3d": "itermask.methods.itermask3d:IterMask3D",
    "mmccd": "itermask.methods.mmccd:MMCCD",
    "robust-z": "itermask.methods.robust_z:RobustZ",
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
