"""Two processes train one model: the same weights in both, and those of one process with twice the batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_config, tiny_grid, write_scan

from itermask.models import load_model
from itermask.training.cache import cached_volume
from itermask.training.loop import Trainer
from itermask.training.table import read_data

WORKER = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from tiny import tiny_config, tiny_grid
from itermask.training.loop import Trainer
from itermask.training.train import train_model

out, table = Path(sys.argv[1]), Path(sys.argv[2])
scans = [Path(line) for line in (out / "scans.txt").read_text().split()]
trainer = Trainer(tiny_config(steps=4), tiny_grid(), out, "cpu")
trainer.fit(scans[:4], scans[4:])
state = {key: value.contiguous() for key, value in trainer.networks.state_dict().items()}
save_file(state, out / f"rank{trainer.rank}.safetensors")
(out / f"validation{trainer.rank}.txt").write_text(repr(trainer.last_validation))
trainer.wait()
train_model(table, "T1w", out / "model", tiny_config(steps=2), "cpu")
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder that two processes trained in, and the prepared scans."""
    out = tmp_path_factory.mktemp("distributed")
    rows = ["path\tbrain_mask\tsplit"]
    for seed in range(8):
        path, mask = write_scan(out / "scans", f"s{seed}", seed)
        rows.append(f"{path}\t{mask}\t{'train' if seed < 4 else 'val'}")
    table = out / "table.tsv"
    table.write_text("\n".join(rows) + "\n")
    scans = [cached_volume(entry, "T1w", tiny_grid(), out / "cache") for entry in read_data(table, "T1w")]
    (out / "scans.txt").write_text("\n".join(map(str, scans)))
    (out / "worker.py").write_text(WORKER)
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
    path = os.pathsep.join([str(Path(__file__).parents[1] / "support"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*run, str(out / "worker.py"), str(out), str(table)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out, scans


def test_both_processes_end_with_the_same_weights_and_validation(trained):
    out, _ = trained
    one, other = (load_file(out / f"rank{rank}.safetensors") for rank in (0, 1))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    validations = [(out / f"validation{rank}.txt").read_text() for rank in (0, 1)]
    assert validations[0] == validations[1]
    assert (out / "log.csv").read_text().count("\n") == 3  # the first process alone writes: a head and two rows


def test_two_processes_are_one_with_twice_the_batch(trained, tmp_path):
    out, scans = trained
    alone = Trainer(tiny_config(steps=4, batch=2), tiny_grid(), tmp_path, "cpu")
    start = {key: value.clone() for key, value in alone.networks.state_dict().items()}
    alone.fit(scans[:4], scans[4:])
    together = load_file(out / "rank0.safetensors")
    for key, value in alone.networks.state_dict().items():
        moved = (value - start[key]).abs().mean()
        assert (together[key] - value).abs().mean() < 0.02 * moved + 1e-7, key
    assert float((out / "validation0.txt").read_text()) == pytest.approx(alone.last_validation, rel=1e-4)
    half = Trainer(tiny_config(steps=4, batch=1), tiny_grid(), tmp_path, "cpu")
    half.fit(scans[:4], scans[4:])
    key = "reconstruction.head.weight"
    assert (together[key] - half.networks.state_dict()[key]).abs().mean() > 0.1 * (
        together[key] - start[key]
    ).abs().mean()


def test_a_checkpoint_of_two_processes_belongs_to_two(trained):
    out, _ = trained
    with pytest.raises(ValueError, match="world"):
        Trainer(tiny_config(steps=4), tiny_grid(), out, "cpu").resume()


def test_a_model_trained_by_two_processes_is_complete(trained):
    out, _ = trained
    model = load_model(out / "model", device="cpu")
    card = json.loads((out / "model" / "card.json").read_text())
    assert card["training"]["processes"] == 2
    assert model.calibration["subjects"] == 4
