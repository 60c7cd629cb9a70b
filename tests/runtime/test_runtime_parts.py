"""A batch is computed in parts of one size, and nobody can tell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itermask.networks import BlockUNet
from itermask.runtime.parts import SLICES, in_parts, part_size
from itermask.runtime.torch_runtime import TorchRuntime


@given(count=st.integers(1, 20), size=st.integers(1, 7))
def test_every_part_is_full_and_nothing_is_lost(count, size):
    inputs = np.random.default_rng(count).standard_normal((count, 1, 2, 3)).astype(np.float32)
    times = np.arange(count)
    seen = []

    def compute(part, extra):
        assert len(part) == len(extra["t"]) == size
        seen.append(len(part))
        return part * 2 + extra["t"][:, None, None, None]

    outputs = in_parts(compute, inputs, {"t": times}, size)
    np.testing.assert_array_equal(outputs, inputs * 2 + times[:, None, None, None])
    assert len(seen) == -(-count // size)


def test_what_cannot_be_a_batch():
    inputs = np.zeros((3, 1, 2, 2), np.float32)
    with pytest.raises(ValueError, match="at least one input"):
        in_parts(lambda part, extra: part, inputs[:0], {}, 4)
    with pytest.raises(ValueError, match="3 inputs, but 2 entries of t"):
        in_parts(lambda part, extra: part, inputs, {"t": np.zeros(2)}, 4)


def test_sizes():
    assert part_size(3, "cpu") == part_size(3, "cuda") == 1
    assert part_size(2, "cpu") == SLICES < part_size(2, "cuda")


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_slice_gives_the_same_bits_in_any_company(dims, dtype):
    torch.manual_seed(0)
    runtime = TorchRuntime({"one": BlockUNet(dims=dims, widths=[16, 32])}, "cpu", dtype)
    inputs = np.random.default_rng(0).standard_normal((7, 2, *[32 if dims == 2 else 8] * dims)).astype(np.float32)
    together = runtime.batch("one", inputs)
    for count in (1, 2, 3, 5):
        for start in range(0, 7 - count, 3):
            np.testing.assert_array_equal(
                runtime.batch("one", inputs[start : start + count]), together[start : start + count]
            )
    np.testing.assert_array_equal(runtime("one", inputs[6]), together[6])
    np.testing.assert_array_equal(runtime.batch("one", inputs[::-1].copy()), together[::-1])
