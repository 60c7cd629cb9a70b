"""The runtime computes what the network computes, whatever the layout and number format."""

import numpy as np
import pytest
import torch

from itermask.errors import InputError
from itermask.networks import BlockUNet
from itermask.runtime.device import fast_dtype, pick_device
from itermask.runtime.torch_runtime import TorchRuntime


def network(dims):
    torch.manual_seed(0)
    return torch.nn.Sequential(BlockUNet(dims=dims, widths=[4, 8]), torch.nn.Dropout(0.5))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_it_computes_what_the_network_computes(dims, dtype, tolerance):
    inputs = np.random.default_rng(0).standard_normal((2, *[8] * dims)).astype(np.float32)
    with torch.inference_mode():
        expected = network(dims).eval()(torch.from_numpy(inputs)[None])[0].numpy()
    runtime = TorchRuntime({"other": network(dims), "one": network(dims)}, "cpu", dtype)
    output = runtime("one", inputs)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, expected, atol=tolerance * np.abs(expected).max())
    np.testing.assert_array_equal(runtime("one", inputs), output)  # nothing is dropped out
    assert str(dtype).removeprefix("torch.") in runtime.description


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_is_its_inputs_one_by_one(dims):
    inputs = np.random.default_rng(0).standard_normal((3, 2, *[8] * dims)).astype(np.float32)
    runtime = TorchRuntime({"one": network(dims)}, "cpu", torch.float32)
    outputs = runtime.batch("one", inputs)
    assert (outputs.shape, outputs.dtype) == ((3, 1, *[8] * dims), np.float32)
    np.testing.assert_allclose(outputs, [runtime("one", one) for one in inputs], atol=1e-5)
    np.testing.assert_array_equal(runtime.batch("one", inputs[:1])[0], runtime("one", inputs[0]))


def test_convolutions_run_in_the_format_asked_for():
    convolution = network(3)
    seen = []
    convolution[0].head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    for dtype in (torch.bfloat16, torch.float32):
        TorchRuntime({"one": convolution}, "cpu", dtype)("one", np.ones((2, 8, 8, 8), np.float32))
    assert seen == [torch.bfloat16, torch.float32]


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert fast_dtype(torch.device("cpu")) in (torch.bfloat16, torch.float32)
    with pytest.raises(InputError, match="--device abacus: unknown device"):
        pick_device("abacus")
    if torch.cuda.is_available():
        assert pick_device("auto").type == "cuda"
    else:
        with pytest.raises(InputError, match="this machine or this PyTorch has none"):
            pick_device("cuda")


class Told(torch.nn.Module):
    """Adds its time to every pixel; without one, nothing."""

    def forward(self, x, t=None):
        assert t is None or not t.is_floating_point()
        return x if t is None else x + t[:, None, None, None]


def test_each_input_of_a_batch_brings_what_else_the_network_takes():
    runtime = TorchRuntime({"told": Told()}, "cpu", torch.float32)
    inputs = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
    times = np.array([0, 7, 999])
    np.testing.assert_array_equal(runtime.batch("told", inputs), inputs)
    outputs = runtime.batch("told", inputs, t=times)
    np.testing.assert_allclose(outputs, inputs + times[:, None, None, None].astype(np.float32))
    with pytest.raises(TypeError, match="day"):
        runtime.batch("told", inputs, day=times)
