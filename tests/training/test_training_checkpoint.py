"""A checkpoint brings back networks, average, optimiser and what was said about them; a damaged one is refused."""

import pytest
import torch
from torch import nn

from itermask.errors import InputError
from itermask.networks import BlockUNet
from itermask.training.checkpoint import load_checkpoint, save_checkpoint

ABOUT = {"step": 3, "config": {"box": [16, 16, 16]}, "validation_loss": None}


def parts(seed, steps=2, widths=(4, 8)):
    """Networks, an average and an optimiser that have made some steps."""
    torch.manual_seed(seed)
    networks = nn.ModuleDict({"one": BlockUNet(dims=2, widths=widths), "two": nn.Sequential(nn.BatchNorm2d(1))})
    networks.to(memory_format=torch.channels_last)
    average = {key: torch.rand_like(value.float()).to(value.dtype) for key, value in networks.state_dict().items()}
    optimizer = torch.optim.AdamW(networks.parameters(), lr=1e-2)
    for _ in range(steps):
        networks["two"](networks["one"](torch.randn(1, 2, 8, 8))).square().mean().backward()
        optimizer.step()
    return networks, average, optimizer


def assert_same(one, other):
    for a, b in zip(one[:2], other[:2], strict=True):
        a, b = (part.state_dict() if isinstance(part, nn.Module) else part for part in (a, b))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a)
    a, b = one[2].state_dict()["state"], other[2].state_dict()["state"]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[index][key], b[index][key]) for index in a for key in a[index])


def test_everything_comes_back(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    saved, loaded = parts(0), parts(1)
    save_checkpoint(path, *saved, ABOUT)
    assert load_checkpoint(path, *loaded) == ABOUT
    assert_same(saved, loaded)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_before_the_first_step_comes_back(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    saved, loaded = parts(0, steps=0), parts(1, steps=0)
    save_checkpoint(path, *saved, ABOUT)
    load_checkpoint(path, *loaded)
    assert_same(saved, loaded)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "other network", "no metadata"])
def test_a_checkpoint_of_something_else_is_one_line(tmp_path, damage):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *parts(0, widths=(8, 8) if damage == "other network" else (4, 8)), ABOUT)
    if damage == "no metadata":
        from safetensors.torch import load_file, save_file

        save_file(load_file(path), path)
    elif damage != "other network":
        content = path.read_bytes()
        path.write_bytes({"cut": content[:-100], "empty": b"", "noise": b"\x93NUMPY" * 50}[damage])
    with pytest.raises(InputError, match="not a checkpoint of this training") as caught:
        load_checkpoint(path, *parts(1))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
