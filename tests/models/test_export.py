"""An exported model: its network and its one-file loop find what PyTorch's path finds, without this package."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_model import tiny_model, tiny_scan

from itermask.errors import InputError, MissingExtraError
from itermask.models.export import export_model, loop_text, main
from itermask.models.export_loop import find_anomalies
from itermask.models.folder import load_model, read_card, save_card
from itermask.prepare.prepare import prepare
from itermask.runtime.torch_runtime import TorchRuntime

TOLERANCE = 1e-3  # relative, of threshold and scores; and the share of the brain in which masks may differ
NEEDS = {"openvino": "openvino", "onnx": "onnx"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny")
    tiny_model(out)
    return out


@pytest.fixture(scope="module")
def expected(folder):
    """The prepared scan, and what float32 PyTorch finds in it."""
    import torch

    model = load_model(folder, device="cpu")
    runtime = TorchRuntime(model.runtime.networks, "cpu", torch.float32)
    prepared = prepare(tiny_scan(blob=60.0), model.grid)
    point = model.calibration["operating_point"]
    return prepared, model.method.detect(prepared, runtime, np.random.default_rng(0), point)


def assert_same(found, detection, brain):
    assert float(found["threshold"]) == pytest.approx(detection.threshold, rel=TOLERANCE)
    for name in ("mask_size", "mean_error"):
        assert float(found[name]) == pytest.approx(detection.scores[name], rel=TOLERANCE, abs=1e-6)
    assert (found["mask"] != detection.mask).sum() <= TOLERANCE * brain.sum()
    np.testing.assert_allclose(found["error"][brain], detection.error[brain], rtol=1e-2, atol=1e-2)


def test_the_loop_is_the_methods_own_to_the_bit_with_the_same_network(folder, expected):
    import torch

    prepared, detection = expected
    model = load_model(folder, device="cpu")
    runtime = TorchRuntime(model.runtime.networks, "cpu", torch.float32)
    settings, point = model.method.settings(), model.calibration["operating_point"]
    network = lambda given: runtime("reconstruction", given[0])[None]  # noqa: E731
    found = find_anomalies(prepared.image, prepared.brain, prepared.spacing, network, settings, point)
    assert np.array_equal(found["mask"], detection.mask)
    assert np.array_equal(found["error"], detection.error)
    assert found["threshold"] == detection.threshold
    assert found["passes"] == detection.trace["passes"]
    assert found["mask_size"] == detection.scores["mask_size"]


@pytest.mark.parametrize("kind", NEEDS)
def test_the_exported_files_alone_find_the_same(kind, folder, expected, tmp_path):
    for package in {NEEDS[kind], "openvino"}:  # OpenVINO reads ONNX too
        pytest.importorskip(package)
    written = export_model(folder, tmp_path / "export", (kind,))
    name = {"openvino": "network.xml", "onnx": "network.onnx"}[kind]
    assert {path.name for path in written} >= {name, "card.json", "loop.py"}
    prepared, detection = expected
    np.savez(tmp_path / "box.npz", image=prepared.image, brain=prepared.brain, spacing=prepared.spacing)
    guard = "import sys; sys.modules['itermask'] = sys.modules['torch'] = None; import runpy; sys.argv = sys.argv[1:]; "
    words = [tmp_path / "export" / "loop.py", tmp_path / "export" / name, tmp_path / "box.npz", tmp_path / "found.npz"]
    command = [sys.executable, "-c", guard + "runpy.run_path(sys.argv[0], run_name='__main__')", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("threshold ")
    with np.load(tmp_path / "found.npz") as found:
        assert_same(found, detection, prepared.brain)


def test_the_loop_is_one_file_that_imports_nothing_of_this_package():
    text = loop_text()
    compile(text, "loop.py", "exec")
    code = [line.strip() for line in text.splitlines() if not line.strip().startswith((">>>", "..."))]
    assert not [line for line in code if line.startswith(("import itermask", "from itermask", "import torch"))]
    assert text.count("import numpy as np\n") == 1


def test_what_the_loop_does_not_know_is_refused_and_nothing_is_written(folder, tmp_path, capsys):
    with pytest.raises(InputError, match="another method"):
        export_model("flair-2d", tmp_path / "export")
    card = read_card(folder)
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    save_card(changed, json.loads(json.dumps(card)) | {"method_settings": card["method_settings"] | {"crop": True}})
    with pytest.raises(InputError, match="its crop is True"):
        export_model(changed, tmp_path / "export")
    assert main([str(changed), str(tmp_path / "export")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "export").exists()


def test_a_runtime_that_is_not_installed_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="onnx is not installed"):
        export_model(folder, tmp_path / "export", ("onnx",))
