"""What is left of a cohort run that is killed again and again: nothing but the same bytes, or so it should be.

    python benchmarks/cohort_faults.py DATA/ixi-t1 runs/faults

Makes a BIDS tree of real scans and three bad ones (truncated, all zero, a header without a position in space), runs
`itermask bids` over it once without disturbance, and once with `kill -9` of the main process and of workers at random
moments, going on after each. Then both results are compared, file by file. Exit code 1 if anything differs.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

BAD = ("cut", "zeros", "header")
NOT_COMPARED = ("logs",)  # dates and times taken


def make_tree(data: Path, root: Path, count: int) -> int:
    """Write a BIDS tree of the first scans of a folder and the bad ones; gives how many good ones there are."""
    root.mkdir(parents=True)
    about = {"Name": "ixi-t1", "BIDSVersion": "1.10.0", "License": "CC BY-SA 3.0"}
    (root / "dataset_description.json").write_text(json.dumps(about))
    scans = sorted(data.glob("*_T1w.nii.gz"))[:count]
    known = {}
    if (data / "participants.tsv").is_file():
        with open(data / "participants.tsv", newline="") as source:
            known = {row["participant_id"]: row for row in csv.DictReader(source, delimiter="\t")}
    rows = ["participant_id\tage\tsex"]
    for scan in scans:
        name = scan.name.removesuffix("_T1w.nii.gz")
        row = known.get(name, {})
        label = "".join(letter for letter in name if letter.isalnum())
        rows.append(f"sub-{label}\t{row.get('age', 'n/a')}\t{row.get('sex', 'n/a')}")
        shutil.copyfile(scan, scan_path(root, label))
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    whole = scans[0].read_bytes()
    scan_path(root, "cut").write_bytes(whole[: len(whole) // 2])
    image = nib.load(scans[0])
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), scan_path(root, "zeros"))
    header = image.header.copy()
    header.set_qform(None, 0)
    header.set_sform(np.diag([0.0, 2.0, 2.0, 1.0]), 1)
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, header), scan_path(root, "header"))
    return len(scans)


def scan_path(root: Path, label: str) -> Path:
    """Where a participant's scan lies; its folder is made."""
    path = root / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    return path


def start(tree: Path, out: Path, workers: int, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "itermask", "bids", str(tree), str(out), "--workers", str(workers)]
    return subprocess.Popen([*command, "--skip-bids-validation"], stdout=open(log, "ab"), stderr=subprocess.STDOUT)


def workers_of(process: subprocess.Popen) -> list[int]:
    """Process ids of a run's workers (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in path.with_name("cmdline").read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every file that is compared, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in NOT_COMPARED
    }


def log_entries(out: Path) -> list[dict]:
    """Outcomes in a run's logs."""
    lines = [line for path in (out / "logs").glob("run-*.jsonl") for line in path.read_text().splitlines()]
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # an empty line, or one that was cut off
            continue
        if "state" in entry:
            found.append(entry)
    return found


def disturb(tree: Path, out: Path, chosen: argparse.Namespace, span: float) -> dict[str, int]:
    """Kill the main process and workers at random moments, going on after each; then let it end."""
    dice = random.Random(chosen.seed)
    events = ["main"] * chosen.kills + ["worker"] * chosen.kills
    dice.shuffle(events)
    done = {"main": 0, "worker": 0, "too late": 0}
    process = None
    log = chosen.out / "interrupted.txt"
    for event in events:
        if process is None:
            process = start(tree, out, chosen.workers, log)
        time.sleep(dice.uniform(0.2, 1.0) * span)
        own = workers_of(process)
        if process.poll() is not None or (event == "worker" and not own):
            done["too late"] += 1
            process = None if process.poll() is not None else process
        elif event == "main":
            process.kill()
            process.wait()
            process = None
            done["main"] += 1
        else:
            os.kill(dice.choice(own), signal.SIGKILL)
            done["worker"] += 1
        print(f"{event}: {done}, {len(list((out / 'manifest').glob('*.json')))} scans in the manifest", file=sys.stderr)
    process = process or start(tree, out, chosen.workers, log)
    process.wait()
    return done


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of *_T1w.nii.gz")
    parser.add_argument("out", type=Path, help="folder for the tree and both results; must not exist")
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--kills", type=int, default=5, help="of the main process, and as many of workers")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.out.exists():
        parser.error(f"{chosen.out}: exists already; choose another")
    tree, whole, parts = (chosen.out / name for name in ("tree", "whole", "interrupted"))
    count = make_tree(chosen.data, tree, chosen.scans)
    started = time.perf_counter()
    code = start(tree, whole, chosen.workers, chosen.out / "whole.txt").wait()
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    killed = disturb(tree, parts, chosen, seconds / (chosen.kills + 1))
    disturbed = time.perf_counter() - started
    wanted, found = hashes(whole), hashes(parts)
    different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    finished = [entry["name"] for entry in log_entries(parts) if entry["state"] == "done"]
    names = set(finished)
    failed = {entry["name"] for entry in log_entries(parts) if entry["state"] == "failed"}
    rows = {
        "good scans, bad scans": f"{count}, {len(BAD)}",
        "uninterrupted: exit code, seconds": f"{code}, {seconds:.0f}",
        "kill -9 of the main process, of workers": "{main}, {worker} ({too late} too late)".format(**killed),
        "interrupted: seconds in all": f"{disturbed:.0f}",
        "scans finished, finished twice": f"{len(names)}, {len(finished) - len(names)}",
        "scans failed": ", ".join(sorted(failed)),
        "files compared, different": f"{len(wanted)}, {len(different)}",
    }
    print("\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]))
    for name in different[:20]:
        print(f"different: {name}")
    expected = len(names) == count and len(failed) == len(BAD)
    sys.exit(0 if expected and not different else 1)


if __name__ == "__main__":
    main()
