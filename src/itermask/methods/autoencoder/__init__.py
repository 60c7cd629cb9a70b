"""A convolutional autoencoder."""

from itermask.methods.autoencoder.method import Autoencoder

__all__ = ["Autoencoder"]
