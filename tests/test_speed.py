"""The speed benchmark: what it measures with, its small parts, and what it refuses."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_brain
from tiny_model import tiny_model, tiny_scan, write_nifti

from itermask.core.masks import ellipsoid_mask
from itermask.models.folder import load_model
from itermask.networks import build_network
from itermask.types import TrainingVolume


@pytest.fixture
def part(monkeypatch):
    """A module in `benchmarks/`, by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module


def test_a_ways_first_call_does_not_count(part):
    measure, calls = part("speed_parts.measure"), []
    seconds = measure.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert [len(times) for times in seconds.values()] == [2, 2]


def test_a_commands_memory_is_its_own(part):
    """Python itself takes about 10 MB; this process, which starts it, some hundred."""
    measure = part("speed_parts.measure")
    idle, busy = (measure.launch([sys.executable, "-S", "-c", code]) for code in ("pass", "b = b'x' * 100_000_000"))
    assert idle.peak < 60e6 < measure.resident()
    assert idle.peak + 80e6 < busy.peak < idle.peak + 150e6
    assert 0 < idle.processor <= idle.wall + 0.1
    with pytest.raises(RuntimeError, match="failed"):
        measure.launch([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_networks_flops_are_counted_and_the_network_stays(part):
    measure = part("speed_parts.measure")
    network = build_network("block-unet", {"widths": [4], "in_channels": 2, "group_size": 4})
    once = measure.flops(network, 2, (8, 8, 8))
    stage = 2 * 27 * (16 * 4 + 4 * 4) + 2 * 16 * 4  # two convolutions of 3³ and the shortcut, multiply and add
    head = 2 * 27 * 4 * 8
    assert once == (stage + head) * 4**3
    assert measure.flops(network, 2, (16, 8, 8)) == 2 * once
    assert all(one.device.type == "cpu" for one in network.parameters())


def test_rates_are_of_this_machine(part, tmp_path):
    measure = part("speed_parts.measure")
    assert all(1e5 < rate < 1e12 for rate in measure.disk_rates(tmp_path, 1_000_000))
    assert not any(tmp_path.iterdir())
    assert measure.table(("a", "b"), [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
    assert measure.spread([3, 1, 2], 1) == "2.0 (1.0)"


def test_the_point_cloud_is_about_the_ellipsoid_of_training(part):
    """The analytic mask in the package stands for the published cloud, so both must hide about as much."""
    training = part("speed_parts.training_speed")
    brain = tiny_brain((40, 48, 40))[1]
    sizes = []
    for make in (training.point_cloud_mask, ellipsoid_mask):
        masks = [make(brain, np.random.default_rng(seed)) for seed in range(40)]
        assert all(mask.any() and not (mask & ~brain).any() for mask in masks)
        sizes.append(np.mean([mask.sum() for mask in masks]) / brain.sum())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.25)
    volume = TrainingVolume(tiny_brain((16, 16, 16))[0][None], tiny_brain((16, 16, 16))[1], (2.0, 2.0, 2.0))
    example = training.published_example(volume, np.random.default_rng(0))
    assert example["input"].shape == (2, 16, 16, 16)


def test_a_grid_at_another_voxel_size_covers_as_many_millimetres(part):
    detection = part("speed_parts.detection")
    model = load_model("t1w-2mm", device="cpu")
    assert detection.grid_of(model, 2.0) == model.grid
    assert detection.grid_of(model, 1.0).box == (160, 192, 160)
    assert detection.grid_of(model, 3.0).box == (64, 64, 64)  # 53.3 and 64 voxels, up to multiples of 16


def test_equality_of_a_tiny_model_with_itself(part, tmp_path):
    """In float32 at even steps the default path is the reference, so all is alike; rounding may move single voxels."""
    equality, speed = part("speed_parts.equality"), part("speed")
    tiny_model(tmp_path / "model")
    scan = tiny_scan(blob=90.0)
    write_nifti(tmp_path / "a_T1w.nii.gz", scan)
    table = tmp_path / "table.tsv"
    table.write_text("participant_id\tpath\tsplit\na\ta_T1w.nii.gz\tval\n")
    (tmp_path / "lesion-shapes").mkdir()
    np.savez(tmp_path / "lesion-shapes" / "tumour_shapes.npz", shape000=np.ones((3, 3, 3), bool))
    model = str(tmp_path / "model")
    arguments = ["equality", "--model", model, "--even", model, "--table", str(table), "--data", str(tmp_path)]
    chosen = speed.parser().parse_args([*arguments, "--device", "cpu"])
    rows = [line.split("|")[1:-1] for line in equality.run(chosen).splitlines() if line.startswith("| a ")]
    assert [row[1].strip() for row in rows] == ["as is", "dark", "bright"]
    for row in rows:
        reference, default = (np.array(cell.split(), float) for cell in row[2:4])
        assert reference[0] == pytest.approx(default[0], rel=0.05)


def test_unknown_parts_are_refused(part, capsys):
    with pytest.raises(SystemExit):
        part("speed").main(["detecting"])
    assert "there are detection, equality, run, growth, training, runtimes" in capsys.readouterr().err
