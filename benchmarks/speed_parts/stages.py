"""One `itermask run` with a clock between its stages: SCAN OUT MODEL DEVICE → seconds by stage as JSON."""

import time

STARTED = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402


def main(scan_path: Path, out: Path, name: str, device: str) -> dict[str, float]:
    """What `itermask.cli.run` does, in the same order."""
    seconds, before = {}, STARTED

    def lap(stage: str) -> None:
        nonlocal before
        now = time.perf_counter()
        seconds[stage], before = now - before, now

    from itermask.cli.main import collect_seldom

    collect_seldom()
    from itermask.io.dicom.write import write_dicom  # noqa: F401
    from itermask.io.outputs import write_finding
    from itermask.io.scans import read_scans
    from itermask.models.folder import load_model
    from itermask.pipeline import analyze

    lap("import")
    scan = read_scans(scan_path)[0].scan
    lap("read")
    import torch  # noqa: F401

    lap("import PyTorch")
    model = load_model(name, device=device)
    lap("load model")
    finding = analyze(scan, model)
    lap("run")
    del seconds["run"]
    seconds |= finding.timings
    seconds["passes"] = finding.search["curve_passes"] + 1 + finding.search["passes"]
    write_finding(scan, finding, out)
    lap("write, report")
    seconds["written"] = sum(path.stat().st_size for path in out.iterdir())
    return seconds


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])))
