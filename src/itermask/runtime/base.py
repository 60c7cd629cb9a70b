"""The one thing a method needs to run its networks."""

from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """Executes a model's networks."""

    description: str  # what it computes with, for the report

    def __call__(self, role: str, inputs: np.ndarray) -> np.ndarray:
        """Run the network `role` on one input.

        Args:
            role: which of the method's networks.
            inputs: float32 (channels, X, Y[, Z]).

        Returns:
            float32 (outputs, X, Y[, Z]).
        """
        ...

    def batch(self, role: str, inputs: np.ndarray, **extra: np.ndarray) -> np.ndarray:
        """Run the network `role` on several inputs at once.

        Args:
            role: which of the method's networks.
            inputs: float32 (batch, channels, X, Y[, Z]).
            extra: what else the network takes, by the name it has there: one entry for each input, such as the
                time (batch,) of a diffusion step.

        Returns:
            float32 (batch, outputs, X, Y[, Z]).
        """
        ...
