"""`itermask listen`: its example, its refusals, and that it ends when it is told to."""

import os
import re
import signal
import subprocess
import sys

from tiny_node import HERE, associate, until

from itermask.apps.node.config import example, read_config


def test_the_example_can_be_used_as_it_is(command, tmp_path):
    code, output, errors = command("listen", "--example")
    assert (code, output, errors) == (0, example(), "")
    (tmp_path / "node.toml").write_text(output)
    assert read_config(tmp_path / "node.toml").title == "ITERMASK"


def test_refusals(command, tmp_path):
    code, output, errors = command("listen")
    assert (code, output) == (2, "")
    assert errors == "itermask: give the node's TOML file; 'itermask listen --example' prints one\n"
    code, _, errors = command("listen", tmp_path / "none.toml")
    assert code == 2
    assert "none.toml: cannot be read" in errors
    (tmp_path / "node.toml").write_text(example().replace('# T1w = "t1w-2mm"', 'T1w = "none"'))
    code, _, errors = command("listen", tmp_path / "node.toml")
    assert code == 2
    assert errors.startswith("itermask: none: no such model folder, nor a bundled model")


def test_it_listens_until_it_is_told_to_end(tmp_path):
    text = re.sub("(?m)^port = .*", "port = 0", example())
    (tmp_path / "node.toml").write_text(text)
    log = tmp_path / "log.txt"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "itermask", "listen", tmp_path / "node.toml"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=errors,
        )
        try:
            said = until(lambda: re.search(rf"ITERMASK listens at {HERE} port (\d+); page http", log.read_text()), 300)
            association = associate(int(said[1]), classes=("1.2.840.10008.1.1",))
            assert association.send_c_echo().Status == 0
            association.release()
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()
    lines = log.read_text().splitlines()
    assert [line[20:] for line in lines[1:]] == ["echo from SCANNER", "ITERMASK has ended"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
