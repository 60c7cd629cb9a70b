"""The fault run of benchmarks/, made small: the node is killed under load, and nothing is lost or done twice."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "node_faults.py"


def test_killed_under_load_nothing_is_lost_or_done_twice(tmp_path):
    words = ["--series", "4", "--slices", "4", "--kills", "2", "--patience", "300", "--resend", "all"]
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "out", *words], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "out" / "log.txt").read_text()
    rows = dict(line.strip("| ").split(" | ", 1) for line in done.stdout.splitlines()[2:])
    assert rows["images acknowledged"] == "16"
    assert rows["kill -9 of the node"].startswith("2 ")
    zeros = [value for name, value in rows.items() if name.startswith("**")]
    assert zeros == ["**0**"] * 8
