"""How translation methods process a scan: there and back slice by slice, scored away from the brain's border."""

from typing import TYPE_CHECKING

import numpy as np

from itermask.methods.slices import over_slices
from itermask.types import Prepared

if TYPE_CHECKING:
    from itermask.runtime.base import Runtime

FORWARD, BACKWARD = "a_to_b", "b_to_a"  # roles


def cycle_reconstruct(prepared: Prepared, runtime: "Runtime") -> np.ndarray:
    """Return what comes back of a scan: `a_to_b`, then `b_to_a`.

    The background of the translated slices is set to what it is in every prepared scan before they go back.

    Args:
        prepared: the scan in sequence a.
        runtime: executes the networks `a_to_b` and `b_to_a`.

    Returns:
        float32 (X, Y, Z) in scaled intensities; outside the brain the image itself.
    """
    image, brain = prepared.image, prepared.brain
    translated = np.where(brain, over_slices(runtime, FORWARD, image[None], brain), image)
    return np.where(brain, over_slices(runtime, BACKWARD, translated, brain)[0], image)
