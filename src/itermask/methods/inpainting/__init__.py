"""Masked inpainting without refinement: one pass over the fully hidden brain."""

from itermask.methods.inpainting.method import Inpainting

__all__ = ["Inpainting"]
