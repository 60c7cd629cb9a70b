"""Which runtime is taken, and with how many threads."""

import json
import sys
from importlib.util import find_spec

import pytest
import torch
from tiny_model import tiny_model, tiny_scan, write_nifti

from itermask.apps.cohort.memory import usable_cores
from itermask.errors import InputError, MissingExtraError
from itermask.runtime.choice import open_runtime
from itermask.runtime.device import pick_device
from itermask.runtime.torch_runtime import TorchRuntime


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def network():
    return {"one": torch.nn.Conv2d(1, 1, 1)}


def test_auto_is_pytorch_whatever_is_installed():
    assert isinstance(open_runtime(network()), TorchRuntime)
    assert open_runtime(network(), "cpu").description.startswith(f"torch {torch.__version__} on cpu")


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_when_asked_for():
    runtime = open_runtime(network(), "openvino", 1)
    assert runtime.description.startswith("openvino ")
    assert runtime.threads == 1
    assert pick_device("openvino") == torch.device("cpu")  # what it cannot do is done there


def test_openvino_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    for ask in (lambda: open_runtime(network(), "openvino"), lambda: pick_device("openvino")):
        with pytest.raises(MissingExtraError, match=r"--device openvino .*itermask\[openvino\]"):
            ask()


def test_threads():
    torch.set_num_threads(2)
    open_runtime(network(), "cpu")
    assert torch.get_num_threads() == 2  # as they are, unless said
    open_runtime(network(), "cpu", 1)
    assert torch.get_num_threads() == 1
    with pytest.raises(InputError, match="--threads 0"):
        open_runtime(network(), "cpu", 0)
    assert torch.get_num_threads() == 1


def test_the_option(command, tmp_path, monkeypatch):
    tiny_model(tmp_path / "model")
    scan = write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan())
    how = ["--model", tmp_path / "model", "--device", "cpu"]
    torch.set_num_threads(3)
    code, _, errors = command("run", scan, tmp_path / "asked", *how, "--threads", 2)
    assert code == 0, errors
    assert torch.get_num_threads() == 2
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    code, _, errors = command("run", scan, tmp_path / "unsaid", *how)
    assert code == 0, errors
    assert torch.get_num_threads() == usable_cores() == 1
    found = [json.loads((tmp_path / name / "finding.json").read_text()) for name in ("asked", "unsaid")]
    assert found[0]["settings"]["computed_with"] == found[1]["settings"]["computed_with"]
    code, _, errors = command("run", scan, tmp_path / "none", *how, "--threads", 0)
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "--threads 0" in errors
