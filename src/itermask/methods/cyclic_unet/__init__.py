"""Cyclic UNet (Liang et al. 2023): translation to another sequence and back."""

from itermask.methods.cyclic_unet.method import CyclicUNet

__all__ = ["CyclicUNet"]
