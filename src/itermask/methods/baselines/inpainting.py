"""Masked inpainting as a method: IterMask3D's network and training, one pass, one fixed threshold."""

from dataclasses import dataclass

from itermask.methods.itermask3d import IterMask3D


@dataclass
class Inpainting(IterMask3D):
    """The whole brain is hidden once, and what the reconstruction misses by more than a fixed error is flagged.

    The settings are those of `IterMask3D`, with other defaults for `iterate` and `stop`.
    """

    iterate: bool = False
    stop: str = "fixed"

    name = "inpainting"
