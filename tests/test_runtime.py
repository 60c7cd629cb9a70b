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
