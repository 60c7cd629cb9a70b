"""Compare two checkouts of this repository: are masks, error maps and scores the same to the bit?

    git worktree add ../before v0.2.0
    python benchmarks/same_results.py ../before . --data ../shared/data

Each checkout analyses the demo's four scans and ten scans of the data folder in a process of its own, on one thread.
For each scan a SHA-256 hash of the anomaly mask, the error map and the brain mask, and the score, are written to
`runs/hashes/1.json` and `2.json`. Such a file may be given instead of a checkout, so that a run need not be repeated.
Differences are listed, one line a scan and value; exit code 1 if there are any.

Hashes hold for one machine and one set of installed packages: another processor rounds differently.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Patterns below the data folder, and how many of the sorted files each gives: ten scans, brains given and to be found.
SCANS = (
    ("ixi-t1/*_T1w.nii.gz", 3),
    ("novosibirsk-t1/*_T1w.nii.gz", 2),
    ("oasis-t1/*_T1w.nii.gz", 1),
    ("lgg-flair/*_FLAIR.nii.gz", 2),
    ("lesions-3d/ms-patient26/*w.nii.gz", 2),
)
Hashes = dict[str, dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides", type=Path, nargs="*", help="two checkouts, or files of hashes")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the ten scans")
    parser.add_argument("--keep", type=Path, default=Path("runs/hashes"), help="folder for the two files of hashes")
    parser.add_argument("--hash", type=Path, help=argparse.SUPPRESS)  # the process of one checkout: write this file
    chosen = parser.parse_args(arguments)
    if chosen.hash:
        write_hashes(chosen.data, chosen.hash)
        return
    if len(chosen.sides) != 2:
        parser.error("give two checkouts, or files of hashes")
    found = [hashes_of(side, chosen.data, chosen.keep / f"{n}.json") for n, side in enumerate(chosen.sides, 1)]
    lines = differences(*found)
    print(
        "\n".join(lines) or f"{len(found[0])} scans: masks, error maps, brain masks and scores are the same to the bit"
    )
    sys.exit(1 if lines else 0)


def hashes_of(side: Path, data: Path, out: Path) -> Hashes:
    """Return scan → hashes of one side: read from its file, or made by its checkout."""
    if not side.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(side.resolve() / "src")}
        command = [sys.executable, str(Path(__file__).resolve()), "--data", str(data), "--hash", str(out)]
        subprocess.run(command, env=os.environ | one_thread, check=True)
        side = out
    return dict(json.loads(side.read_text()))


def write_hashes(data: Path, out: Path) -> None:
    """Analyse all scans with the package that is imported here, and write their hashes."""
    import itermask

    found: Hashes = {}
    for name, source in scans(data):
        print(name, file=sys.stderr, flush=True)
        found[name] = hashes(itermask.run(source))
    part = out.with_name(f"{out.name}.part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(out)


def scans(data: Path) -> Iterator[tuple[str, Any]]:
    """Yield name and scan: the demo's cases, then the files of `SCANS`."""
    from itermask.cli.demo import cases

    yield from ((f"demo/{name}", scan) for name, scan in cases())
    for pattern, count in SCANS:
        files = sorted(data.glob(pattern))[:count]
        if len(files) < count:
            sys.exit(f"{data / pattern}: {len(files)} files, {count} needed")
        yield from ((str(path.relative_to(data)), path) for path in files)


def hashes(finding: Any) -> dict[str, Any]:
    """Return the score, and a hash of shape, type and values of each map of a finding."""
    maps = {"mask": finding.anomaly, "error map": finding.error, "brain mask": finding.brain}
    return {name: digest(array) for name, array in maps.items()} | {"score": float(finding.score).hex()}


def digest(array: np.ndarray) -> str:
    """Return the first 16 digits of the SHA-256 hash of an array's shape, type and values."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.shape} {array.dtype.str} ".encode() + array.tobytes()).hexdigest()[:16]


def differences(one: Hashes, other: Hashes) -> list[str]:
    """Return a line for each scan and value that differs, or that one side lacks."""
    lines = []
    for name in sorted(one.keys() | other.keys()):
        left, right = one.get(name, {}), other.get(name, {})
        if not left or not right:
            lines.append(f"{name}: analysed by one side only")
            continue
        lines += [f"{name}: {key} differs" for key in left if left[key] != right.get(key)]
    return lines


if __name__ == "__main__":
    main()
