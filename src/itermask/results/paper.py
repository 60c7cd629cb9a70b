"""A methods paragraph for a paper, written from what runs recorded: versions, model, settings, and whom to cite.

    python -m itermask.results.paper OUT/finding.json [further finding.json …]

`itermask bids` and `itermask cohort` write it as `methods.md`. It holds nothing that the records do not say.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itermask.errors import InputError

CITED = {
    "itermask3d": "IterMask3D: Medical Image Analysis 107 (2026) 103763, arXiv 2504.04911",
    "itermask2": "IterMask2: MICCAI 2024, arXiv 2406.02422",
    "cyclic-unet": "Cyclic UNet: 2023, arXiv 2308.16150",
    "mmccd": "Masked modality cycles with conditional diffusion: 2023, arXiv 2308.16150",
}
BRAIN = {
    "given": "supplied files",
    "stripped": "scans that were skull-stripped already",
    "itermask-brain": "the network for brain extraction bundled with itermask",
    "deepbet": "deepbet",
    "hd-bet": "HD-BET",
}
LIBRARIES = ("python", "numpy", "scipy", "nibabel", "torch")
UNCHANGED = ("", "none", None)


@dataclass(frozen=True)
class Used:
    """What one scan was processed with.

    Attributes:
        settings: as in `itermask.Finding`.
        versions: as in `itermask.Finding`; empty where a record does not say.
    """

    settings: Mapping[str, Any]
    versions: Mapping[str, str]


def methods_text(used: Iterable[Used]) -> str:
    """Return a paragraph in Markdown, with a list of what to cite.

    Args:
        used: of each scan.

    Raises:
        InputError: there is no scan.

    Example:
        >>> text = methods_text([Used({"model": "t1w-2mm", "method": "itermask3d"}, {"itermask": "0.2.0"})])
        >>> text.splitlines()[2]
        '1 scan was processed with itermask 0.2.0 and the model t1w-2mm (method itermask3d).'
    """
    scans = list(used)
    if not scans:
        raise InputError("no scan was processed, so there is no paragraph to write")
    one = len(scans) == 1
    versions = _listed(scan.versions.get("itermask", "of a version that was not recorded") for scan in scans)
    models = _listed(_model(scan) for scan in scans)
    sentences = [
        f"{len(scans)} scan{' was' if one else 's were'} processed with itermask {versions} and "
        f"the model{'s' if ' and ' in models else ''} {models}.",
        "The model has learned from normal scans only; an anomaly mask marks where a scan departs from normal.",
        f"Brain masks came from {_listed(_brain(scan) for scan in scans)}.",
    ]
    for name, text in (("bias_correction", "Slow brightness changes were removed first"),
                        ("alignment", "The model processed along MNI axes")):  # fmt: skip
        tools = [str(scan.settings[name]) for scan in scans if scan.settings.get(name) not in UNCHANGED]
        if tools:
            share = "" if len(tools) == len(scans) else f" in {len(tools)} of {len(scans)} scans"
            sentences.append(f"{text}{share} ({_listed(tools)}).")
    points = Counter(_point(scan) for scan in scans if scan.settings.get("operating_point"))
    if points:
        sentences.append(f"The operating point was {_counted(points)}.")
    seeds = sorted({scan.settings["seed"] for scan in scans if "seed" in scan.settings})
    if seeds:
        sentences.append(f"The seed of the noise was {', '.join(map(str, seeds))}.")
    libraries = [
        f"{name.capitalize() if name == 'python' else name} {_listed(told)}"
        for name in LIBRARIES
        if (told := [scan.versions[name] for scan in scans if name in scan.versions])
    ]
    if libraries:
        sentences.append(f"Libraries: {', '.join(libraries)}.")
    sentences.append("itermask is for research use only; it is not a medical device and makes no diagnosis.")
    methods = sorted({str(scan.settings.get("method")) for scan in scans})
    cited = [f"* {CITED[name]}" for name in methods if name in CITED]
    lines = ["# Methods", "", *sentences]
    return "\n".join(lines + (["", "Cite:", "", *cited] if cited else [])) + "\n"


def _model(scan: Used) -> str:
    """Return a model with its version and method."""
    version = scan.versions.get("model")
    named = f"{scan.settings.get('model', 'unknown')}{f', version {version}' if version else ''}"
    method = scan.settings.get("method")
    return named + (f" (method {method})" if method else "")


def _brain(scan: Used) -> str:
    """Return where a brain mask came from, as text."""
    found = str(scan.settings.get("brain_mask", "unknown"))
    return BRAIN.get(found, "a source that was not recorded" if found == "unknown" else found)


def _point(scan: Used) -> str:
    """Return an operating point as text."""
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(scan.settings["operating_point"].items()))


def _listed(texts: Iterable[str]) -> str:
    """Return different texts, each with how often where there are several."""
    return _counted(Counter(texts))


def _counted(counts: Counter[str]) -> str:
    """Return `a` where there is one; else `a (3 scans) and b (1 scan)`, the most frequent first."""
    if len(counts) == 1:
        return next(iter(counts))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [f"{word} ({count} scan{'' if count == 1 else 's'})" for word, count in ordered]
    return " and ".join([", ".join(told[:-1]), told[-1]])


def read_finding(path: Path) -> Used:
    """Return what a `finding.json`, or the sidecar of an anomaly mask, says of its run.

    Raises:
        InputError: it cannot be read, or is none.

    Example:
        >>> from itermask.io.outputs import write_finding
        >>> out = write_finding(scan, finding, folder / "results")
        >>> type(read_finding(folder / "results" / "finding.json")).__name__
        'Used'
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        told = told.get("Finding", told)  # within a BIDS sidecar
        return Used(dict(told["settings"]), dict(told["versions"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a finding.json of itermask ({type(error).__name__}); give one") from error


def main(arguments: list[str]) -> int:
    """Print the paragraph for some `finding.json` files; exit code 2 and a line where that cannot be."""
    try:
        print(methods_text(read_finding(Path(name)) for name in arguments), end="")
    except InputError as error:
        print(f"itermask: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
