"""The picture of a validation scan: it shows what was found, changes no weight, and stops where it costs too much."""

import numpy as np
import pytest
import torch
from test_training_loop import assert_same_bits, scans, straight, train  # noqa: F401
from tiny import tiny_brain, tiny_config, tiny_grid

from itermask.training.cache import read_volume
from itermask.training.loop import Trainer
from itermask.training.panel import GAP, SLICES, Panel, picture


def test_rows_are_scan_expectation_error_and_mask():
    image, brain = tiny_brain()
    mask = np.zeros_like(brain)
    mask[8:12, 10:14, :] = True
    drawn = picture(image, np.full_like(image, image[brain].max()), np.where(mask, 4.0, 0.0), mask, brain)
    height, width = image.shape[1] + 2 * GAP, image.shape[0] + 2 * GAP
    assert drawn.shape == (4 * height, SLICES * width, 3)
    assert drawn.dtype == np.uint8
    rows = drawn[..., 0].reshape(4, height, -1)
    assert rows[0].std() > 10
    assert set(np.unique(rows[3])) == {0, 255}
    assert (rows[3] == 255).sum() == SLICES * 16
    assert (rows[2] == 255).sum() >= SLICES * 16
    assert rows[1].max() == 255


def test_drawing_leaves_training_as_it_is_and_stops_where_it_costs_too_much(tmp_path, scans):  # noqa: F811
    trainer = Trainer(tiny_config(), tiny_grid(), tmp_path, "cpu")
    before = {key: value.clone() for key, value in trainer.networks.state_dict().items()}
    trainer.networks.train()
    volume = read_volume(scans[1][0], trainer.grid)
    panel = Panel(trainer.method, trainer.networks, trainer.device, trainer.grid.divisor, trainer.dtype)
    drawn = panel.draw(trainer.average, volume, interval=1e9)
    assert drawn is not None
    assert drawn.std() > 1
    assert trainer.networks.training
    assert all(torch.equal(value, before[key]) for key, value in trainer.networks.state_dict().items())
    assert panel.draw(trainer.average, volume, interval=1e-9) is not None
    assert panel.draw(trainer.average, volume, interval=1e9) is None


def test_tensorboard_gets_a_picture_at_each_validation(tmp_path, scans, straight):  # noqa: F811
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained = train(tmp_path, scans, tiny_config())
    assert_same_bits(trained, straight)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    steps = [one.step for one in events.Images("validation scan, expectation, error, mask")]
    assert steps[:1] == [3]
