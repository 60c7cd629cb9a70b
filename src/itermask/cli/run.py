"""`itermask run`: one scan in, a finding out."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from itermask.cli.show import print_finding, progress_bar


def run(
    scan: Annotated[Path, typer.Argument(help="NIfTI file of one scan (.nii or .nii.gz).")],
    out: Annotated[Path, typer.Argument(help="Folder for the results; made if needed.")],
    sequence: Annotated[
        Optional[str], typer.Option(help="Sequence, e.g. T1w; else taken from name or sidecar.")
    ] = None,
    brain_mask: Annotated[Optional[Path], typer.Option(help="Brain mask on the scan's grid; else it is found.")] = None,
    model: Annotated[Optional[str], typer.Option(help="Model folder or bundled name; else chosen by the scan.")] = None,
    gamma: Annotated[
        Optional[float], typer.Option(help="Stop slope in place of the model's; smaller flags more.")
    ] = None,
    sensitivity: Annotated[
        Optional[float], typer.Option(help="Divides the model's operating point: 2 flags more, 0.5 less.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise fill.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Find what is not normal in one scan: masks and maps on its own grid, numbers, and a report."""
    from itermask.io.nifti import read_scan
    from itermask.io.outputs import check_out, write_finding
    from itermask.models.folder import load_model
    from itermask.pipeline import RunSettings, check_sequence, known_sequence
    from itermask.pipeline import run as run_scan

    check_out(out)
    settings = RunSettings(gamma=gamma, sensitivity=sensitivity, seed=seed)
    read = read_scan(scan, sequence, brain_mask)
    chosen = load_model(model, sequence=known_sequence(read), scan=read, device=device)
    check_sequence(read, chosen)
    with progress_bar(scan.name) as bar:
        finding = run_scan(read, chosen, settings, bar)
    write_finding(read, finding, out)
    if chosen.why:
        print(f"model {chosen.name}: {chosen.why}")
    print_finding(scan.name, finding, out)
