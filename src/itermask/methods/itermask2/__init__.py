"""IterMask2: iterative mask refinement on slices (Liang et al. 2024)."""

from itermask.methods.itermask2.method import IterMask2

__all__ = ["IterMask2"]
