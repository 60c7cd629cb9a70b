"""A training that is asked to stop writes its checkpoint, says how to go on, and goes on to the same bits."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from test_training_loop import assert_same_bits, scans, straight, train  # noqa: F401
from test_training_train import write_table
from tiny import tiny_config, tiny_grid

from itermask.training.loop import Trainer
from itermask.training.stopping import SIGNALS, StopRequest, TrainingStopped, stop_on_signals

SETTINGS = """
spacing = [4.0, 4.0, 4.0]
box = [16, 16, 16]
divisor = 4
steps = 1000000
checkpoint_every = 1000000
validate_every = 1000000
precision = "fp32"

[method_settings]
steps = 5
focused = false

[networks.reconstruction]
name = "block-unet"
arguments = { dims = 3, in_channels = 3, widths = [4, 8], group_size = 4 }
"""


def test_a_stop_between_checkpoints_loses_no_step(tmp_path, scans, straight):  # noqa: F811
    config = tiny_config(checkpoint_every=100)
    stop = StopRequest()
    stop.gentle = True
    trainer = Trainer(config, tiny_grid(), tmp_path, "cpu")

    def progress(step, steps, loss):
        if step == 4:
            stop(signal.SIGTERM)

    with pytest.raises(TrainingStopped, match=r"after step 4 of 6; .*same command resumes") as stopped:
        trainer.fit(*scans, progress, stop)
    assert stopped.value.signal == signal.SIGTERM
    fresh = Trainer(config, tiny_grid(), tmp_path, "cpu")
    assert fresh.resume()
    assert fresh.step == 4
    assert_same_bits(train(tmp_path, scans, config), straight)


def test_a_stop_with_the_last_step_is_none(tmp_path, scans, straight):  # noqa: F811
    stop = StopRequest()
    stop.gentle = True
    trainer = Trainer(tiny_config(), tiny_grid(), tmp_path, "cpu")
    trainer.fit(*scans, lambda step, steps, loss: step == steps and stop(signal.SIGINT), stop)
    assert_same_bits(trainer, straight)


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_are_taken_while_it_lasts_and_given_back(number):
    earlier = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.gentle = True
        os.kill(os.getpid(), number)
        assert stop.wanted == number
        with pytest.raises(TrainingStopped):  # a second one does not wait
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == earlier


def test_outside_the_loop_a_stop_takes_effect_at_once():
    with stop_on_signals(), pytest.raises(TrainingStopped, match="same command"):
        os.kill(os.getpid(), signal.SIGTERM)


def test_another_thread_changes_no_handler():
    earlier, during = signal.getsignal(signal.SIGINT), []

    def work():
        with stop_on_signals():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [earlier]


def test_the_command_ends_with_one_sentence_and_a_checkpoint(tmp_path):
    table = write_table(tmp_path)
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    words = ["train", table, "--out", tmp_path / "model", "--sequence", "T1w", "--device", "cpu"]
    command = [sys.executable, "-m", "itermask", *map(str, words), "--config", str(tmp_path / "tiny.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "training, loss" in line:
                break
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, "".join(said) + errors
    assert output == ""
    last = errors.splitlines()[-1]
    assert last.startswith("itermask: stopped after step ")
    assert last.endswith("the checkpoint is written, and the same command resumes it")
    assert (tmp_path / "model" / "checkpoint.safetensors").is_file()
