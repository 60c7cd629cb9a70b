"""IterMask3D (Liang et al., Medical Image Analysis 2026): iterative mask refinement on volumes."""

from itermask.methods.itermask3d.method import IterMask3D

__all__ = ["IterMask3D"]
