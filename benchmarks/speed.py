"""How fast and how large: the default path against the published procedure, the whole command, growth, training.

    python benchmarks/speed.py                         # all parts, tables printed
    python benchmarks/speed.py run growth --insert docs/speed.md
    make speed                                         # all parts into docs/speed.md

Run it on a machine that does nothing else. Every part says with what it was measured. On two cores `detection` takes
about ten minutes for every whole reference at 1 mm (`--scans`), and `equality` a quarter of an hour for its thirty at
2 mm.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from speed_parts import detection, equality, growth, runtimes, training_speed, whole_run

from itermask.errors import InputError
from itermask.evaluation.benchmark.write import between_marks

PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "detection": detection.run,
    "equality": equality.run,
    "run": whole_run.run,
    "growth": growth.run,
    "training": training_speed.run,
    "runtimes": runtimes.run,
}


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all by default")
    options.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with oasis-t1 and others")
    options.add_argument("--model", default="t1w-2mm", help="bundled name or folder of an itermask3d model")
    options.add_argument("--even", default="runs/even-steps", help="the same model, calibrated with 100 even steps")
    options.add_argument("--table", type=Path, default=Path("runs/ixi/labelled.tsv"), help="healthy scans with masks")
    options.add_argument("--device", default="auto")
    options.add_argument("--rounds", type=int, default=3, help="passes or examples of each way, in turn")
    options.add_argument("--repeats", type=int, default=5, help="fresh processes of the whole command")
    options.add_argument("--scans", type=int, default=1, help="whole references at 1 mm")
    options.add_argument("--subjects", type=int, default=5, help="healthy scans of the equality part")
    options.add_argument("--sizes", type=float, nargs="*", default=list(growth.SIZES), help="voxel sizes in mm")
    options.add_argument("--many", type=int, default=200, help="scans in one process")
    options.add_argument("--insert", type=Path, help="document with marks; else the tables are printed")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser()
    chosen = options.parse_args(arguments)
    unknown = sorted(set(chosen.parts) - set(PARTS))
    if unknown:
        options.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    try:
        for name in chosen.parts or PARTS:
            text = PARTS[name](chosen)
            if chosen.insert:
                between_marks(chosen.insert, f"speed-{name}", text)
            else:
                print(f"## {name}\n\n{text}\n", flush=True)
    except InputError as error:
        options.error(str(error))


if __name__ == "__main__":
    main()
