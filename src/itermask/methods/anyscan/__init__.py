"""One model for every scanner and contrast: restoration of partly hidden brains, learned from synthetic contrasts."""

from itermask.methods.anyscan.method import AnyScan

__all__ = ["AnyScan"]
