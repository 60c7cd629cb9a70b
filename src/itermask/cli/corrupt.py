"""`itermask corrupt`: an artifact on a scan, on purpose."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from itermask.cli import complete
from itermask.cli.options import brain_mask_option
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.types import Scan

LIST = "list"


def _list(context: typer.Context, wanted: bool) -> None:
    """Print all artifacts and leave; not where a shell asks for completions."""
    if not wanted or context.resilient_parsing:
        return
    from itermask.synth.artifacts import ARTIFACTS, summary

    width = max(map(len, ARTIFACTS))
    for name in sorted(ARTIFACTS):
        print(f"{name:{width}}  {summary(name)}")
    raise typer.Exit


def _artifact(context: typer.Context, name: str) -> str:
    _list(context, name == LIST)
    return name


def corrupt(
    scan: Annotated[Path, typer.Argument(help="NIfTI file of one scan (.nii or .nii.gz).")],
    out: Annotated[Path, typer.Argument(help="NIfTI file to write; its folder is made if needed.")],
    artifact: Annotated[
        str,
        typer.Option(
            help="Name of the artifact; --list shows all.",
            callback=_artifact,
            is_eager=True,
            show_default=False,
            autocompletion=complete.artifacts,
        ),
    ],
    severity: Annotated[float, typer.Option(help="0 (nothing), 1 (subtle) to 10 (gross).")] = 5.0,
    axis: Annotated[
        Optional[int],
        typer.Option(help="Axis of the file (0, 1, 2) along which to apply it; default: the artifact's own."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    brain_mask: Annotated[Optional[Path], brain_mask_option("all that is bright counts as brain")] = None,
    list_: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Show all artifacts and exit.")
    ] = False,
) -> None:
    """Corrupt a scan on purpose: writes OUT, beside it a JSON file of what was done, and a mask of damaged voxels.

    OUT has the scan's geometry. The JSON file is OUT with .json for .nii or .nii.gz; the mask, OUT_damaged.nii.gz, is
    written for artifacts that damage a known set of voxels.
    """
    from itermask.errors import MissingExtraError
    from itermask.io.nifti import read_scan
    from itermask.io.outputs import on_grid_of, write_image
    from itermask.synth.artifacts import ARTIFACTS
    from itermask.synth.artifacts import corrupt as corrupt_image
    from itermask.synth.artifacts.base import SEVERITIES
    from itermask.types import top_axis

    if artifact not in ARTIFACTS:
        raise InputError(f"--artifact {artifact}: no such artifact; --list shows all")
    if not SEVERITIES[0] <= severity <= SEVERITIES[1]:
        raise InputError(f"--severity {severity:g}: must be between {SEVERITIES[0]:g} and {SEVERITIES[1]:g}")
    if axis not in (None, 0, 1, 2):
        raise InputError(f"--axis {axis}: must be 0, 1 or 2")
    if seed < 0:
        raise InputError(f"--seed {seed}: must not be negative")
    sidecar, mask = _names(out)
    _check(scan, brain_mask, (out, sidecar, mask))
    read = read_scan(scan, brain_mask=brain_mask)
    up, direction = top_axis(read)
    if axis not in (None, up):
        direction = 1
    try:
        result = corrupt_image(
            read.image, artifact, severity, seed, axis, read.brain_mask, read.spacing, direction=direction, up=up
        )
    except MissingExtraError:
        raise
    except ValueError as error:
        raise InputError(f"{scan}: {error}") from error
    record = _record(read, artifact, seed, result.parameters)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_image(on_grid_of(read, result.image), out)
        partial = sidecar.with_name(f".part-{sidecar.name}")
        partial.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        os.replace(partial, sidecar)
        if result.damaged is None:
            mask.unlink(missing_ok=True)  # of an earlier artifact
        else:
            write_image(on_grid_of(read, result.damaged.astype("uint8")), mask)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error
    written = (out, sidecar) if result.damaged is None else (out, sidecar, mask)
    print(f"{artifact}, severity {severity:g}: {', '.join(map(str, written))}")


def _names(out: Path) -> tuple[Path, Path]:
    """Return the JSON file and the mask of damaged voxels that belong to an output."""
    from itermask.io.names import stem
    from itermask.io.nifti import NIFTI_ENDINGS

    if not out.name.lower().endswith(NIFTI_ENDINGS) or not stem(out):
        raise InputError(f"{out}: the output must be a NIfTI file, .nii or .nii.gz")
    return out.with_name(f"{stem(out)}.json"), out.with_name(f"{stem(out)}_damaged.nii.gz")


def _check(scan: Path, brain_mask: Path | None, outputs: tuple[Path, ...]) -> None:
    """Refuse outputs that would replace an input, its sidecar or somebody's file, or that cannot be files."""
    from itermask.io.names import stem
    from itermask.io.result_folder import LONGEST, check_inputs, check_writable

    check_writable(outputs[0].parent)
    if len(os.fsencode(outputs[2].name)) > LONGEST:
        raise InputError(f"{outputs[0]}: the name is too long; choose a shorter one")
    check_inputs(outputs, [scan, scan.with_name(f"{stem(scan)}.json"), brain_mask])
    ours = _is_ours(outputs[1])
    for path in outputs:
        if path.is_dir():
            raise InputError(f"{path}: is a folder where a file would be written; choose another name")
        if os.path.lexists(path) and not ours:
            raise InputError(f"{path}: was not written by itermask, and would be replaced; choose another name")


def _is_ours(sidecar: Path) -> bool:
    """Return whether a JSON file is of an artifact that was put on a scan before."""
    try:
        record = json.loads(sidecar.read_text(encoding="utf-8"))
        return "artifact" in record and "itermask_version" in record
    except (OSError, RecursionError, TypeError, ValueError):
        return False


def _record(scan: "Scan", artifact: str, seed: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what the JSON file says; with the sequence, which the scan's name may not tell."""
    from itermask import __version__

    record = {
        "artifact": artifact,
        "severity": parameters["severity"],
        "seed": seed,
        "parameters": parameters,
        "scan": scan.name,
        "itermask_version": __version__,
    }
    return record if scan.sequence is None else record | {"itermask_sequence": scan.sequence}
