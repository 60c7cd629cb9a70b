"""Image quality at the scan's own resolution: is the image spoiled, by what, and how good is it in the field's numbers.

Noise, ringing, stripes and ghosts are averaged away by any grid coarser than the scan's own, so all is computed on the
scan's own voxels, within the brain, as ratios that do not depend on the scanner's level or contrast.
"""

from itermask.results.quality.assess import Number, Quality, assess, with_residual

__all__ = ["Number", "Quality", "assess", "with_residual"]
