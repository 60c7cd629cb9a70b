"""Robust z: how far the smoothed intensity lies from the middle of the brain's, or from white matter's."""

from itermask.methods.baselines.robust_z.method import RobustZ

__all__ = ["RobustZ"]
