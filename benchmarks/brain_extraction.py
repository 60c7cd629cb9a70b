"""How well the brain is found: the bundled network, deepbet, and HD-BET where it is installed.

    python benchmarks/brain_extraction.py measure
    python benchmarks/brain_extraction.py table --insert docs/brain.md
    python benchmarks/brain_extraction.py picture --scan ../shared/data/dicom/mprage-siemens --out runs/brain
    python benchmarks/brain_extraction.py measure --split val --weights runs/brain-network --out runs/brain-val

`measure` appends to `OUT/SPLIT.jsonl` and goes on where it stopped; the test split takes five minutes of one core.
Choose on `val`: another network's files, as `scripts/brain_network.py --write` leaves them, are taken by `--weights`.
"""

import argparse
import json
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path

from brain_parts import cases, measure, pictures

from itermask.evaluation.benchmark.write import between_marks
from itermask.io.scans import read_scans
from itermask.prepare import brain_network


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("step", choices=("measure", "table", "picture"))
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--out", type=Path, default=Path("runs/brain"), help="folder of the figures")
    options.add_argument("--split", choices=("test", "val"), default="test")
    options.add_argument("--weights", type=Path, help="folder with another network's weights and card")
    options.add_argument("--tools", nargs="*", help="some of the tools; all that are installed by default")
    options.add_argument("--scan", type=Path, help="scan of the picture")
    options.add_argument("--sequence", default="T1w", help="its sequence")
    options.add_argument("--insert", type=Path, help="document with marks; else the table is printed")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser()
    chosen = options.parse_args(arguments)
    if chosen.weights:
        brain_network._data = lambda: chosen.weights
    if chosen.step == "measure":
        collect(chosen)
    elif chosen.step == "picture":
        if chosen.scan is None:
            options.error("picture needs --scan")
        picture(chosen)
    else:
        rows = read(chosen.out / f"{chosen.split}.jsonl")
        if not rows:
            options.error(f"{chosen.out}: holds no figures of split {chosen.split}; `measure` makes them")
        text = f"{setting(rows)}\n\n{measure.table(rows)}"
        if chosen.insert:
            between_marks(chosen.insert, "brain-extraction", text)
        else:
            print(text)


def collect(chosen: argparse.Namespace) -> None:
    """Measure what has not been measured yet; a tool's first scan, for which it loads its networks, is not timed."""
    import torch

    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / f"{chosen.split}.jsonl"
    done = {(row["group"], row["scan"], row["tool"]) for row in read(path)}
    version = brain_network.card()["weights_sha256"][:8]
    loading: dict[str, float] = {}
    for case in cases.cases(chosen.data, chosen.split):
        made = None
        for name, find in measure.ways(case, chosen.tools):
            if (case.group, case.name, name) in done:
                continue
            made = made or case.make()
            if name not in loading:
                started = time.process_time()
                measure.row_of(case, made, name, find)
                loading[name] = time.process_time() - started
            row = measure.row_of(case, made, name, find)
            row |= {"first": loading[name], "weights": version, "machine": machine()}
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def machine() -> str:
    """Return the processor's name and torch's version."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return f"{names[0] if names else platform.machine()}, torch {torch.__version__}"


def setting(rows: Sequence[measure.Row]) -> str:
    """Return with what the figures were made."""
    weights = ", ".join(sorted({row["weights"] for row in rows if row["tool"] == "itermask-brain"}))
    machines = "; ".join(sorted({row["machine"] for row in rows}))
    first = {row["tool"]: row["first"] for row in rows if row["tool"] != "no tool"}
    loading = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in first.items())
    return (
        f"Network `{weights}`; {machines}. Seconds: processor time of one core, median; "
        f"the first scan of a process: {loading}. Volume: mean of the mask's over the brain's."
    )


def picture(chosen: argparse.Namespace) -> None:
    """Draw a scan with what every tool finds."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    scan = read_scans(chosen.scan, chosen.sequence)[0].scan
    wanted = [tool for tool in measure.tools() if not chosen.tools or tool.name in chosen.tools]
    path = chosen.out / (re.sub(r"[^a-z0-9]+", "-", scan.name.lower()).strip("-") + ".png")
    pictures.draw(scan, {tool.name: tool.extract(scan) for tool in wanted}, path)
    print(path)


def read(path: Path) -> list[measure.Row]:
    """Return the figures of a file; none if there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
