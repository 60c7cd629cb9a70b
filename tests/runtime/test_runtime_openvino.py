"""OpenVINO computes what PyTorch computes, the same bits every time, and tells nobody."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_model import tiny_model, tiny_scan, write_nifti

from itermask.models.folder import find_model, load_networks, read_card
from itermask.networks import BlockUNet, TimeUNet
from itermask.runtime import openvino_runtime
from itermask.runtime.openvino_runtime import OpenVINORuntime
from itermask.runtime.torch_runtime import TorchRuntime

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
FORMATS = [(torch.float32, 1e-5), (torch.bfloat16, 0.03)]  # tolerance as a share of the largest output


def network(dims=2, channels=2):
    torch.manual_seed(0)
    return torch.nn.Sequential(BlockUNet(dims=dims, in_channels=channels, widths=[4, 8]), torch.nn.Dropout(0.5))


def batch_of(count, dims, channels=2, seed=0):
    return np.random.default_rng(seed).standard_normal((count, channels, *[8] * dims)).astype(np.float32)


def alike(found, expected, tolerance):
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), FORMATS)
def test_it_computes_what_pytorch_computes(dims, dtype, tolerance):
    inputs = batch_of(3, dims)
    expected = TorchRuntime({"one": network(dims)}, "cpu", torch.float32).batch("one", inputs)
    runtime = OpenVINORuntime({"other": network(dims, 5), "one": network(dims)}, dtype)
    outputs = runtime.batch("one", inputs)
    assert (outputs.shape, outputs.dtype) == (expected.shape, np.float32)
    alike(outputs, expected, tolerance)
    np.testing.assert_array_equal(runtime.batch("one", inputs), outputs)
    np.testing.assert_array_equal(OpenVINORuntime({"one": network(dims)}, dtype).batch("one", inputs), outputs)
    np.testing.assert_array_equal(runtime("one", inputs[2]), outputs[2])  # alone as in company
    assert runtime.description.startswith("openvino 20")
    assert runtime.description.endswith(f" on cpu, {str(dtype).removeprefix('torch.')}")


@pytest.mark.parametrize(("dtype", "tolerance"), FORMATS)
def test_the_bundled_network(dtype, tolerance):
    folder = find_model("t1w-2mm")
    card = read_card(folder)
    inputs = np.random.default_rng(0).standard_normal((3, 48, 32, 32)).astype(np.float32)
    expected = TorchRuntime(load_networks(folder, card), "cpu", torch.float32)("reconstruction", inputs)
    alike(OpenVINORuntime(load_networks(folder, card), dtype)("reconstruction", inputs), expected, tolerance)


def test_inputs_of_any_shape_and_layout(monkeypatch):
    monkeypatch.setattr(openvino_runtime, "KEPT", 2)
    runtime = OpenVINORuntime({"one": network()}, torch.float32)
    torch_runtime = TorchRuntime({"one": network()}, "cpu", torch.float32)
    for size in (4, 8, 4, 12, 4):
        inputs = np.random.default_rng(size).standard_normal((size, 8, 2)).astype(np.float32).T  # not contiguous
        alike(runtime("one", inputs), torch_runtime("one", inputs), 1e-5)
    assert [key[1][0][1][3] for key in runtime.compiled] == [12, 4]  # 8 was not used for longest
    with pytest.raises(KeyError, match="other"):
        runtime("other", inputs)


@pytest.mark.parametrize(("dtype", "kind"), [(torch.bfloat16, np.int64), (torch.float32, np.float32)])
def test_the_time_of_a_diffusion_step(dtype, kind):
    torch.manual_seed(0)
    with_time = TimeUNet(widths=[4, 8], features=16)
    for film in (*with_time.down_films, *with_time.up_films):
        torch.nn.init.normal_(film.weight, 0.0, 0.5)
    inputs, times = np.repeat(batch_of(1, 2), 5, axis=0), np.array([0, 7, 500, 997, 998]).astype(kind)
    expected = TorchRuntime({"one": with_time}, "cpu", torch.float32).batch("one", inputs, t=times)
    assert np.abs(expected[3] - expected[4]).max() > 0.05 * np.abs(expected).max()  # one step tells
    alike(OpenVINORuntime({"one": with_time}, dtype).batch("one", inputs, t=times), expected, 1e-5)


def test_threads_are_those_of_pytorch_unless_said():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        runtimes = OpenVINORuntime({"one": network()}), OpenVINORuntime({"one": network()}, threads=1)
    finally:
        torch.set_num_threads(before)
    inputs = batch_of(1, 2)[0]
    for runtime, threads in zip(runtimes, (2, 1), strict=True):
        runtime("one", inputs)
        compiled = next(iter(runtime.compiled.values())).get_compiled_model()
        assert runtime.threads == compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("ENABLE_CPU_PINNING") is False
    with pytest.raises(ValueError, match="at least one thread"):
        OpenVINORuntime({}, threads=0)
    with pytest.raises(ValueError, match="bfloat16 or float32"):
        OpenVINORuntime({}, torch.float16)


def test_nothing_is_told_to_anyone(tmp_path):
    script = """
import sys, numpy, torch
sockets = []
sys.addaudithook(lambda event, what: sockets.append(event) if event.startswith("socket.") else None)
from itermask.runtime.openvino_runtime import OpenVINORuntime
print(OpenVINORuntime({"one": torch.nn.Conv2d(1, 1, 1)})("one", numpy.ones((1, 4, 4), numpy.float32)).shape)
print(sockets, [name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""
    home = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=home, check=True)
    assert said.stdout.splitlines() == ["(1, 4, 4)", "[] []"]
    assert not list(tmp_path.iterdir())


def test_a_run_with_it_finds_the_same(command, tmp_path):
    tiny_model(tmp_path / "model")
    scan = write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan(blob=60.0))
    mask = write_nifti(tmp_path / "mask.nii.gz", tiny_scan_mask())
    masks = {}
    for device in ("cpu", "openvino"):
        out = tmp_path / device
        options = ["--model", tmp_path / "model", "--brain-mask", mask, "--device", device, "--sensitivity", 2]
        code, _, errors = command("run", scan, out, *options)
        assert code == 0, errors
        masks[device] = np.asanyarray(nib.load(out / "anomaly.nii.gz").dataobj) > 0
        made_by = json.loads((out / "finding.json").read_text())["settings"]["computed_with"]
        assert made_by.startswith({"cpu": "torch", "openvino": "openvino"}[device])
    overlap = 2 * (masks["cpu"] & masks["openvino"]).sum() / (masks["cpu"].sum() + masks["openvino"].sum())
    assert overlap > 0.9


def tiny_scan_mask():
    scan = tiny_scan()
    return type(scan)(scan.brain_mask.astype(np.float32), scan.affine, None, None, "mask")


LET_GO_ELSEWHERE = """
import os, signal, threading
import numpy as np
from itermask.networks import build_network
from itermask.runtime.openvino_runtime import OpenVINORuntime

signal.signal(signal.SIGCHLD, lambda *_: None)
network = build_network("block-unet", {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4})
held = [OpenVINORuntime({"one": network})]
held[0]("one", np.zeros((1, 8, 8), np.float32))
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGCHLD)
print("alive")
"""


def test_a_signal_after_another_thread_let_the_runtime_go_kills_nothing():
    done = subprocess.run([sys.executable, "-c", LET_GO_ELSEWHERE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
