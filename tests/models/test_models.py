"""The model folder: a round trip, and one line that names the file for everything that can be wrong with it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_card

from itermask.errors import InputError
from itermask.models import load_model, save_model
from itermask.models.card import FORMAT_VERSION, REQUIRED
from itermask.models.folder import CARD, WEIGHTS, find_model
from itermask.networks import build_network


def tiny_state(seed=0):
    """Random weights for the network of `tiny_card`."""
    torch.manual_seed(seed)
    spec = tiny_card()["networks"]["reconstruction"]
    network = build_network(spec["name"], spec["arguments"])
    return {f"reconstruction.{key}": value for key, value in network.state_dict().items()}


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "tiny", tiny_state(), tiny_card())
    return tmp_path / "tiny"


def edit(folder, **changes):
    card = json.loads((folder / CARD).read_text()) | changes
    (folder / CARD).write_text(json.dumps({key: value for key, value in card.items() if value is not ...}))


def refused(folder, file, message):
    """Loading fails with one line that starts with the file."""
    with pytest.raises(InputError, match=message) as caught:
        load_model(folder, device="cpu")
    assert str(caught.value).startswith(str(folder / file))
    assert "\n" not in str(caught.value)


def test_what_is_saved_is_loaded(folder):
    model = load_model(folder, device="cpu")
    assert model.name == "tiny"
    assert model.card == tiny_card()
    assert model.sequence == "T1w"
    assert model.calibration == {}
    assert model.method.settings()["steps"] == 5
    assert (model.grid.spacing, model.grid.box, model.grid.divisor) == ((4.0, 4.0, 4.0), (16, 16, 16), 4)
    loaded = model.runtime.networks["reconstruction"].state_dict()
    for key, value in tiny_state().items():
        stored = loaded[key.removeprefix("reconstruction.")]
        assert stored.dtype == torch.float32
        assert torch.equal(stored, value.half().float())  # half precision on disk
    assert sorted(file.name for file in folder.iterdir()) == sorted([WEIGHTS, CARD])


def test_a_loaded_model_computes(folder):
    runtime = load_model(folder, device="cpu").runtime
    out = runtime("reconstruction", np.random.default_rng(0).standard_normal((3, 16, 16, 16)).astype(np.float32))
    assert out.shape == (1, 16, 16, 16)
    assert out.dtype == np.float32
    assert out.std() > 0


def test_saving_again_replaces(folder):
    save_model(folder, tiny_state(1), tiny_card(license="MIT"))
    model = load_model(folder, device="cpu")
    assert model.card["license"] == "MIT"
    key = "reconstruction.head.weight"
    assert torch.equal(load_file(folder / WEIGHTS)[key], tiny_state(1)[key].half())


def test_a_card_that_would_not_load_is_not_written(tmp_path):
    with pytest.raises(InputError, match="'box' is missing"):
        save_model(tmp_path / "new", tiny_state(), {k: v for k, v in tiny_card().items() if k != "box"})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("file", [WEIGHTS, CARD])
def test_an_incomplete_folder(folder, file):
    (folder / file).unlink()
    refused(folder, file, "missing; a model folder holds")


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0, "1", ...])
def test_another_format_version(folder, version):
    edit(folder, format_version=version)
    refused(folder, CARD, f"format version .*reads version {FORMAT_VERSION}")


@pytest.mark.parametrize("key", sorted(set(REQUIRED) - {"format_version"}))
@pytest.mark.parametrize("value", [..., None])
def test_a_card_without_a_key(folder, key, value):
    edit(folder, **{key: value})
    refused(folder, CARD, f"{key!r} is missing")


@pytest.mark.parametrize("content", ["", "{", "[]", '"card"', "\x00\xff"])
def test_a_card_that_is_none(folder, content):
    (folder / CARD).write_text(content, encoding="latin-1")
    refused(folder, CARD, "JSON")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "itermask9"}, "unknown method 'itermask9'"),
        ({"method_settings": {"stepz": 3}}, "stepz"),
        ({"method_settings": {"masks": {"full": 0.9}}}, "add up to 1"),
        ({"intensity_scale": {"summit": 3}}, "summit"),
        ({"spacing": ["wide", 2, 2]}, "wide"),
    ],
)
def test_a_card_that_means_nothing(folder, changes, message):
    edit(folder, **changes)
    refused(folder, CARD, message)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "a byte short"])
def test_damaged_weights(folder, damage):
    content = (folder / WEIGHTS).read_bytes()
    broken = {"cut": content[: len(content) // 2], "empty": b"", "noise": b"\x80" * 400, "a byte short": content[:-1]}
    (folder / WEIGHTS).write_bytes(broken[damage])
    refused(folder, WEIGHTS, "does not hold the networks of its card")


@pytest.mark.parametrize("change", ["a tensor missing", "a tensor too many", "another shape", "another role"])
def test_weights_of_another_network(folder, change):
    state = load_file(folder / WEIGHTS)
    key = "reconstruction.head.weight"
    if change == "a tensor missing":
        del state[key]
    elif change == "a tensor too many":
        state["reconstruction.tail.weight"] = torch.zeros(1)
    elif change == "another shape":
        state[key] = torch.zeros(1)
    else:
        state = {name.replace("reconstruction", "other"): value for name, value in state.items()}
    save_file(state, folder / WEIGHTS)
    refused(folder, WEIGHTS, "does not hold the networks of its card")


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "u-net", "arguments": {}},
        {"name": "block-unet", "arguments": {"depth": 3}},
        {"name": "block-unet", "arguments": {"widths": [4, 8, 8]}},
        {"name": "block-unet"},
        "block-unet",
    ],
)
def test_a_card_of_another_network(folder, spec):
    edit(folder, networks={"reconstruction": spec})
    refused(folder, WEIGHTS, "does not hold the networks of its card")


def test_a_model_that_is_nowhere(tmp_path):
    with pytest.raises(InputError, match="none: no such model folder, nor a bundled model"):
        load_model(tmp_path / "none")
    with pytest.raises(InputError, match="no bundled model for sequence PETw"):
        find_model(None, "PETw")


def test_a_device_that_is_nowhere(folder):
    with pytest.raises(InputError, match="--device tpu9: unknown device"):
        load_model(folder, device="tpu9")


def test_weights_that_half_precision_cannot_hold_stay_in_float32(tmp_path):
    state = tiny_state()
    key = next(iter(state))
    state[key] = state[key] * 0 + 1e6  # as a batch norm's variance may be
    save_model(tmp_path / "large", state, tiny_card())
    stored = load_file(tmp_path / "large" / WEIGHTS)
    assert stored[key].dtype == torch.float32
    assert (stored[key] == 1e6).all()
    assert {value.dtype for name, value in stored.items() if name != key} == {torch.float16}
    assert load_model(tmp_path / "large", device="cpu").runtime is not None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_never_written(tmp_path, value):
    state = tiny_state()
    key = next(iter(state))
    state[key] = state[key] * 0 + value
    with pytest.raises(InputError, match=f"{key} is NaN or infinite"):
        save_model(tmp_path / "broken", state, tiny_card())
    assert not (tmp_path / "broken" / WEIGHTS).exists()
