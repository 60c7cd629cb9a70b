"""`itermask view`: its refusals, its address, and that it ends when it is told to."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

from tiny_view import record, write_cohort


def test_refusals(command, tmp_path):
    code, output, errors = command("view", tmp_path / "none")
    assert (code, output) == (2, "")
    assert re.match(r"itermask: .*none: no such folder; give the folder of the results", errors)
    write_cohort(tmp_path, record("a", 1.0, outputs=["a.html"]))
    code, _, errors = command("view", tmp_path, "--host", "elsewhere")
    assert (code, errors) == (
        2,
        "itermask: --host elsewhere: is not an IP address; give one of this machine's, or leave it out\n",
    )


def test_it_tells_its_address_serves_and_ends(tmp_path):
    write_cohort(tmp_path, record("a", 1.0, outputs=["a.html"]))
    process = subprocess.Popen(
        [sys.executable, "-m", "itermask", "view", tmp_path, "--port", "0", "--no-browser", "--rater", "me"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{16}/", address)
        with urllib.request.urlopen(f"{address}state.json", timeout=300) as answer:
            assert b'"rater": "me"' in answer.read()
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
        assert time.monotonic() - asked < 60
    finally:
        process.kill()
        process.stdout.close()
