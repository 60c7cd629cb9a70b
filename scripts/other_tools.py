"""Install the tools that itermask is compared with, each into a fresh environment, and measure what can be measured.

    python scripts/other_tools.py runs/other-tools                 # each a few minutes, with its downloads
    python scripts/other_tools.py runs/other-tools --only torchio
    python scripts/other_tools.py runs/other-tools --into docs/comparison.md

All get the same PyTorch for the processor, by constraints.txt, so that sizes can be compared. Weights and outside
programs that a tool fetches later are not part of its size.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from install_trials import CUDA, TOOLKITS, Trial, insert, make, megabytes, took

TOOLS = {  # distribution → the command whose help is timed, and what else it needs before a first result
    ".": (["itermask", "--help"], "nothing: model and scan are part of the package"),
    "mriqc": (["mriqc", "--help"], "ANTs, AFNI and other programs, as in its container; a BIDS tree"),
    "nnunetv2": (["nnUNetv2_predict", "-h"], "labelled scans and a training of its own"),
    "TotalSegmentator": (["TotalSegmentator", "--help"], "weights, fetched on first use"),
    "anomalib": (["anomalib", "--help"], "normal images and a training of its own"),
    "torchio": (["python", "-c", "import torchio"], "a program of one's own: it is a library"),
}


def main() -> None:
    """Measure the tools that were asked for, or put what was measured into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the results go, a JSON file each")
    parser.add_argument("--only", nargs="+", choices=TOOLS, help="some of them")
    parser.add_argument("--into", type=Path, help="Markdown file whose table is replaced; nothing is installed")
    chosen = parser.parse_args()
    if chosen.into:
        insert(chosen.into, table(chosen.folder))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.only or TOOLS:
        found = measure(name)
        (chosen.folder / f"{file_name(name)}.json").write_text(json.dumps(found, indent=1) + "\n")
        print(f"{name}: {found}", flush=True)


def file_name(name: str) -> str:
    """Return the name of a tool's file."""
    return "itermask" if name == "." else name


def measure(name: str) -> dict[str, Any]:
    """Install one tool and return its version, sizes and the processor seconds of its help."""
    with tempfile.TemporaryDirectory() as temporary:
        made = make(Trial(name, ((name,),), ()), Path(temporary, "env"))
        if made.failed:
            return {"failed": made.failed, "seconds": made.seconds}
        own, torch = megabytes(made)
        versions = {one.lower(): version for one, version in made.packages.items()}
        return {
            "version": versions.get(file_name(name).lower(), ""),
            "mb": own,
            "torch_mb": torch,
            "packages": len(made.packages),
            "cuda": [one for one in made.packages if CUDA.match(one)],
            "toolkits": [one for one in made.packages if TOOLKITS.match(one)],
            "seconds": made.seconds,
            "help_seconds": took(made, TOOLS[name][0], Path(temporary), rounds=1),
        }


def table(folder: Path) -> str:
    """Return a row for each tool that was measured."""
    lines = [
        "| tool | version | MB, PyTorch apart | packages | CUDA packages | help or import, s | before a first result |",
        "|---" * 7 + "|",
    ]
    for name, (_, needs) in TOOLS.items():
        file = folder / f"{file_name(name)}.json"
        if not file.is_file():
            continue
        found = json.loads(file.read_text())
        if "failed" in found:
            lines.append(f"| {file_name(name)} | – | could not be installed: {found['failed']} | | | | {needs} |")
            continue
        lines.append(
            f"| {file_name(name)} | {found['version']} | {found['mb']:.0f} | {found['packages']} "
            f"| {', '.join(found['cuda']) or 'none'} | {found['help_seconds']:.1f} | {needs} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
