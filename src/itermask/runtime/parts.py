"""A large batch in parts of one fixed size, so that memory is bounded and no input's result depends on the others.

Libraries choose their way of computing by the size of a batch, and sums in another order differ in the last bits. With
one size for all, the last part filled up, an input gives the same bits alone and in any batch.
"""

from collections.abc import Callable, Mapping

import numpy as np

SLICES = 4  # on a CPU, where more at once are no faster
SLICES_ON_A_CARD = 16

Compute = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


def part_size(axes: int, device: str) -> int:
    """Return how many inputs are computed at once: 1 volume, or a few slices.

    Args:
        axes: spatial axes of an input, 2 or 3.
        device: `cpu`, `cuda` or `mps`.

    Example:
        >>> part_size(3, "cpu"), part_size(2, "cpu") > 1
        (1, True)
    """
    if axes == 3:
        return 1
    return SLICES if device == "cpu" else SLICES_ON_A_CARD


def in_parts(compute: Compute, inputs: np.ndarray, extra: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Compute a batch in parts of `size`, the last one filled up with repetitions of the last input.

    Args:
        compute: one part of exactly `size` inputs, and of each entry of `extra` → `size` outputs.
        inputs: (batch, …), at least one.
        extra: more inputs by name, each (batch, …).
        size: of a part, at least 1.

    Returns:
        (batch, …).

    Raises:
        ValueError: the batch is empty, or an entry of `extra` has another length.

    Example:
        >>> inputs = np.arange(5.0).reshape(5, 1)
        >>> in_parts(lambda part, extra: 2 * part, inputs, {}, size=2).ravel().tolist()
        [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    if not len(inputs):
        raise ValueError("a batch needs at least one input")
    for name, one in extra.items():
        if len(one) != len(inputs):
            raise ValueError(f"{len(inputs)} inputs, but {len(one)} entries of {name}")
    outputs = []
    for start in range(0, len(inputs), size):
        part = {name: _filled(one[start : start + size], size) for name, one in extra.items()}
        outputs.append(compute(_filled(inputs[start : start + size], size), part))
    return outputs[0][: len(inputs)] if len(outputs) == 1 else np.concatenate(outputs)[: len(inputs)]


def _filled(part: np.ndarray, size: int) -> np.ndarray:
    """Return a part with its last entry repeated until there are `size`."""
    missing = size - len(part)
    return part if not missing else np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
