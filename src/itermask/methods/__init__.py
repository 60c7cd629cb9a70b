"""Methods: one a folder, built by name so that a model's card can say which one it belongs to.

Other packages add theirs by an entry point in the group `itermask.methods`, programs by `register_method`.
"""

from dataclasses import is_dataclass
from typing import Any

from itermask.config.settings_file import checked
from itermask.errors import PluginError
from itermask.methods.base import Method
from itermask.registry import Group, find_registered, register, registered_names
from itermask.types import Detection, Progress, TrainingVolume

GROUP = Group("method", "itermask.methods", Method)  # type: ignore[type-abstract]
METHODS: dict[str, type[Method] | str] = {
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

__all__ = [
    "METHODS",
    "Detection",
    "Method",
    "Progress",
    "TrainingVolume",
    "build_method",
    "method_names",
    "register_method",
]


def register_method(kind: type[Method]) -> type[Method]:
    """Make a method known under its own `name`, for as long as this program runs.

    Other processes do not know it, such as a cohort's workers; a package with an entry point in the group
    `itermask.methods` is known everywhere.

    >>> from itermask.methods.baselines.inpainting import Inpainting
    >>> register_method(Inpainting)
    Traceback (most recent call last):
        ...
    ValueError: there is a method 'inpainting' already; choose another name

    Args:
        kind: a dataclass that derives from `Method`; its fields are the method's settings.

    Returns:
        the class, so that this can be used as a decorator.

    Raises:
        ValueError: another method has the name, or it is no dataclass that derives from `Method`.
    """
    if not is_dataclass(kind):
        raise ValueError(f"a method must be a dataclass, whose fields are its settings, not {kind!r}")
    register(GROUP, METHODS, kind.name, kind)
    return kind


def method_names() -> list[str]:
    """Return the names of all methods: of this package, registered, and of other packages.

    >>> "itermask3d" in method_names()
    True
    """
    return registered_names(GROUP, METHODS)


def build_method(name: str, settings: dict[str, Any] | None = None) -> Method:
    """Build the method `name` with its settings.

    >>> build_method("itermask3d", {"gamma": 0.01})
    Traceback (most recent call last):
        ...
    itermask.errors.InputError: method itermask3d: unknown setting gamma; known are crop, cutoff, ...

    Raises:
        ValueError: an unknown method or setting, a setting of another type or out of range.
        PluginError: the method is of another package, which cannot be used.
    """
    kind = find_registered(GROUP, METHODS, name)
    if name not in METHODS and not (is_dataclass(kind) and kind.name == name):
        raise PluginError(
            f"the method {name!r} of {kind.__module__} must be a dataclass whose `name` is {name!r}; "
            "correct the class or its entry point"
        )
    return checked(kind, settings or {}, f"method {name}")
