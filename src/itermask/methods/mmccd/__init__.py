"""MMCCD (Liang et al. 2023): translation by a masked conditional diffusion, and back."""

from itermask.methods.mmccd.method import MMCCD

__all__ = ["MMCCD"]
