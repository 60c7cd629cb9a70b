"""Thresholding the intensity, after matching it to normal scans."""

from itermask.methods.intensity.method import IntensityThreshold

__all__ = ["IntensityThreshold"]
