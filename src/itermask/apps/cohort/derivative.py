"""BIDS data sets as a whole: whether a folder is one, and what makes a results folder a derivative of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from itermask import __version__
from itermask.errors import InputError

BIDS_VERSION = "1.10.0"
IGNORED = ("*.html", "group_*", "logs", "manifest", "methods.md", "ratings.tsv")
OF_SCANS = ("EMPTY_FILE", "NIFTI_HEADER_UNREADABLE")  # what is wrong with a scan is said when its turn comes
README = """# itermask

What is not normal in the scans of a BIDS tree, found by a model that has learned from normal scans only. For each
scan: a report (`sub-…html`), the anomaly mask with all numbers in its sidecar, the brain mask, the error map, and what
the model expects to see, all on the scan's own grid. `group_*.tsv` and `group_*.html` put all scans side by side.

For research use only; not a medical device and not a diagnosis.
"""


def check_tree(root: Path) -> None:
    """Refuse a folder that is no BIDS tree: `dataset_description.json` with a name and a BIDS version.

    Raises:
        InputError: says what is missing.

    Example:
        >>> _ = (folder / "dataset_description.json").write_text('{"Name": "study", "BIDSVersion": "1.9.0"}')
        >>> check_tree(folder)
    """
    path = root / "dataset_description.json"
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    fields = _fields(path)
    missing = [key for key in ("Name", "BIDSVersion") if not isinstance(fields.get(key), str)]
    if missing:
        raise InputError(
            f"{path}: {'no such file' if not path.exists() else f'{missing[0]} is missing'}; a BIDS tree has it; "
            "add it, or use --skip-bids-validation"
        )
    if fields.get("DatasetType", "raw") not in ("raw", "study"):
        raise InputError(f"{path}: is of a {fields['DatasetType']} data set; give the tree of the scans themselves")


def _fields(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if it cannot be read."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def is_derivative_of_ours(out: Path) -> bool:
    """Return whether a folder's description says that this program made it.

    Example:
        >>> is_derivative_of_ours(folder)
        False
    """
    made = _fields(out / "dataset_description.json").get("GeneratedBy")
    return isinstance(made, list) and any(isinstance(one, dict) and one.get("Name") == "itermask" for one in made)


def describe_derivative(root: Path, out: Path) -> None:
    """Write what makes the results folder a BIDS derivative, where it is not there yet.

    Raises:
        InputError: the folder cannot be written to.
    """
    raw = _fields(root / "dataset_description.json")
    inside = out.resolve().is_relative_to(root.resolve())
    link = Path(os.path.relpath(root.resolve(), out.resolve())).as_posix() if inside else root.resolve().as_uri()
    doi = raw.get("DatasetDOI")
    source = f"https://doi.org/{doi.removeprefix('doi:')}" if isinstance(doi, str) else root.resolve().as_uri()
    description = {
        "Name": f"itermask: what is not normal in {raw.get('Name') or root.resolve().name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "itermask", "Version": __version__, "Description": "Anomaly masks learned from normal scans only"}
        ],
        "SourceDatasets": [{"URL": source}],
        "DatasetLinks": {"raw": link},
    }
    texts = {
        "dataset_description.json": json.dumps(description, indent=1) + "\n",
        ".bidsignore": "".join(f"{line}\n" for line in IGNORED),
        "README.md": README,
    }
    for name, text in texts.items():
        write_text(out / name, text)


def write_text(path: Path, text: str) -> None:
    """Write a text under a temporary name, then rename it; a file that holds it already is left alone.

    Raises:
        InputError: it cannot be written.

    Example:
        >>> write_text(folder / "README", "Results.")
        >>> (folder / "README").read_text()
        'Results.'
    """
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another results folder") from error


def validate(root: Path) -> None:
    """Refuse a tree that is no BIDS data set: by `check_tree`, and by the BIDS validator where it is installed.

    Scans that cannot be read are no reason: they become rows of the table.

    Raises:
        InputError: what is wrong, at most three things.
    """
    check_tree(root)
    validator = shutil.which(
        "bids-validator-deno", path=os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
    )
    if validator is None:
        return
    command = [validator, str(root), "--format", "json", "--ignoreNiftiHeaders", "--ignoreWarnings"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError, TypeError):
        return  # the validator does not work here, which says nothing about the tree
    errors = [one for one in issues if one.get("severity") == "error" and one.get("code") not in OF_SCANS]
    if errors:
        named = "; ".join(f"{one.get('code')} at {one.get('location')}" for one in errors[:3])
        raise InputError(f"{root}: not a valid BIDS tree ({named}); fix it, or use --skip-bids-validation")
