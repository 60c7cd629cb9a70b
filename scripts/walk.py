"""One scan through `run` in eight stops: the table of `docs/architecture.md`, with today's line numbers.

    python scripts/walk.py                              # prints it
    python scripts/walk.py --into docs/architecture.md  # replaces the one between the two marks

A place is written here as a file and a piece of its text, so it is found again after the lines have moved.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "src" / "itermask"
BEGIN, END = "<!-- walk: begin -->", "<!-- walk: end -->"
Location = tuple[str, str]  # file, a piece of its text
Stop = tuple[str, str, list[list[Location]]]  # functions, what happens, chains of calls

STOPS: list[Stop] = [
    (
        "`run`",
        "a path, an array or an image, a model and settings come in",
        [[("run_scans.py", "def run(\n    scan: OneScan | Iterable")], [("cli/run.py", "sources = read_scans(")]],
    ),
    (
        "`read_scans`",
        "file → `Scan`; a damaged file is refused",
        [
            [
                ("run_scans.py", "found = read_scans(Path"),
                ("io/scans.py", "def read_scans("),
                ("io/nifti.py", "def read_scan("),
            ]
        ],
    ),
    (
        "`load_model`, `analyze`",
        "folder or name → `Model`; a model that does not take the sequence is refused",
        [
            [("run_scans.py", "model = load_model("), ("models/folder.py", "def load_model(")],
            [("run_scans.py", "analyze(found"), ("pipeline.py", "def analyze(")],
        ],
    ),
    (
        "`with_brain`, `assess`",
        "the brain mask; can it be judged?",
        [
            [("pipeline.py", "= with_brain(scan)"), ("prepare/brain.py", "def with_brain(")],
            [("pipeline.py", "plausible = assess("), ("prepare/plausibility.py", "def assess(")],
        ],
    ),
    (
        "`prepare`",
        "`Scan` → `Prepared`, on the model's grid",
        [[("pipeline.py", "prepared = prepare("), ("prepare/prepare.py", "def prepare(")]],
    ),
    (
        "`explore`",
        "the threshold curve: everything that does not depend on the operating point",
        [
            [
                ("pipeline.py", "model.method.detect("),
                ("methods/base.py", "def detect("),
                ("methods/itermask3d/detection.py", "def explore("),
                ("core/threshold_curve.py", "def threshold_curve("),
            ]
        ],
    ),
    (
        "`finalize`",
        "stop threshold, refinement → `Detection`",
        [
            [
                ("methods/itermask3d/detection.py", "def finalize("),
                ("methods/stop_rules.py", "def threshold(self, search: Curved"),
                ("core/stop_rules.py", "def stop_threshold("),
            ],
            [("core/refinement.py", "def refine(")],
        ],
    ),
    (
        "`restore`, `judge`",
        "back to the scan's grid; is the image spoiled (measured since stop 4), does something stand out → `Finding`",
        [
            [("pipeline.py", "= restore_maps("), ("prepare/restore.py", "def restore_maps(")],
            [("pipeline.py", "awaited_quality(measured, scan"), ("results/quality/assess.py", "def assess(")],
            [("pipeline.py", "verdict = combine("), ("results/verdict.py", "def combine(")],
        ],
    ),
]


def location(file: str, piece: str) -> str:
    """Return `file:line` of where a piece of text first begins; exit where it is not."""
    before, found, _ = (ROOT / file).read_text(encoding="utf-8").partition(piece)
    if not found:
        sys.exit(f"{file}: does not hold {piece!r}; correct STOPS in scripts/walk.py")
    return f"`{file}:{before.count(chr(10)) + 1}`"


def table() -> str:
    """Return the stops as a Markdown table."""
    rows = ["| stop | what happens | where |", "|---|---|---|"]
    for number, (names, what, chains) in enumerate(STOPS, 1):
        where = "; ".join(" → ".join(location(*one) for one in chain) for chain in chains)
        rows.append(f"| {number}. {names} | {what} | {where} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, help="Markdown file whose table is replaced")
    chosen = parser.parse_args()
    made = table()
    if chosen.into is None:
        print(made)
        return
    text = chosen.into.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, also, after = rest.partition(END)
    if not (found and also):
        sys.exit(f"{chosen.into}: lacks the marks {BEGIN} and {END}; put them where the table should be")
    chosen.into.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
