"""The script that measures IterMask2's upper bound."""

import re

import itermask2_bound
import numpy as np
import pytest
from largest_slices import chosen_parts
from test_itermask2 import tiny_runtime
from test_mmccd_steps import lesion_data
from tiny import tiny_card

from itermask.methods.itermask2 import IterMask2
from itermask.models.folder import load_model, save_model


@pytest.fixture
def folder(tmp_path):
    """A model folder with a small random network."""
    method = IterMask2(stop="validation")
    network = tiny_runtime(method).networks["reconstruction"]
    state = {f"reconstruction.{key}": value for key, value in network.state_dict().items()}
    specs = {
        "reconstruction": {
            "name": "block-unet",
            "arguments": {"dims": 2, "in_channels": 3, "widths": [4, 8], "group_size": 4},
        }
    }
    card = tiny_card(method="itermask2", method_settings=method.settings(), networks=specs)
    save_model(tmp_path / "tiny", state, card)
    return tmp_path / "tiny"


def test_the_bound_is_no_worse_than_any_run(folder, tmp_path):
    data = lesion_data(tmp_path / "made", 1)
    model = load_model(folder, device="cpu")
    (part,) = chosen_parts(model, data, "val")
    best = itermask2_bound.bound(model.method, model.runtime, part, 0, 0.5, 3.0)
    assert 0 < best <= 1
    coarse = itermask2_bound.bound(model.method, model.runtime, part, 0, 1.0, 1.0)
    assert coarse <= 1
    mask = model.method.detect(part.prepared, model.runtime, np.random.default_rng(0), {"threshold": 0.5}).mask
    dice = 2 * (mask & part.label).sum() / (mask.sum() + part.label.sum())
    assert best >= dice - 1e-9


def test_the_sentence_says_what_was_measured(folder, tmp_path, capsys):
    data = lesion_data(tmp_path / "made", 2)
    itermask2_bound.main([str(folder), str(data), "--split", "val", "--rise", "1", "--highest", "3"])
    said = capsys.readouterr().out
    assert "over 2 slices of made (val), model `tiny`, seed 0" in said
    value, low, high = map(float, re.search(r"\*\*([\d.]+)\*\* \(([\d.]+)–([\d.]+)\)", said).groups())
    assert 0 <= low <= value <= high <= 1


def test_another_method_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        itermask2_bound.main(["t1w-2mm", str(lesion_data(tmp_path / "made", 1))])
    assert "give an itermask2 model" in capsys.readouterr().err
