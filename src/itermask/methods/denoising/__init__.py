"""A denoising autoencoder with coarse noise (Kascenas et al. 2022)."""

from itermask.methods.denoising.method import Denoising

__all__ = ["Denoising"]
