"""`itermask run`: one scan in, a finding out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from itermask.cli.show import print_finding, progress_bar
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.io.scans import Source
    from itermask.pipeline import RunSettings


def run(
    scan: Annotated[Path, typer.Argument(help="NIfTI file (.nii, .nii.gz), or DICOM folder, zip or file.")],
    out: Annotated[Path, typer.Argument(help="Folder for the results; made if needed.")],
    sequence: Annotated[
        Optional[str], typer.Option(help="Sequence, e.g. T1w; else taken from name, sidecar or DICOM header.")
    ] = None,
    brain_mask: Annotated[Optional[Path], typer.Option(help="Brain mask on the scan's grid; else it is found.")] = None,
    model: Annotated[Optional[str], typer.Option(help="Model folder or bundled name; else chosen by the scan.")] = None,
    gamma: Annotated[
        Optional[float], typer.Option(help="Stop slope in place of the model's; smaller flags more.")
    ] = None,
    sensitivity: Annotated[
        Optional[float], typer.Option(help="Divides the model's operating point: 2 flags more, 0.5 less.")
    ] = None,
    n4: Annotated[bool, typer.Option("--n4", help="Take out slow brightness changes first (N4).")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the noise fill.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps or openvino.")] = "auto",
    threads: Annotated[
        Optional[int], typer.Option(help="Threads on the CPU; else one for each core that this process may use.")
    ] = None,
    series: Annotated[
        Optional[str],
        typer.Option(help="DICOM series: label, number, UID, part of its description, or all; see 'itermask series'."),
    ] = None,
    dicom: Annotated[
        Optional[bool],
        typer.Option("--dicom/--no-dicom", help="Also write DICOM results; done for DICOM scans unless refused."),
    ] = None,
) -> None:
    """Find what is not normal in one scan: masks and maps on its own grid, numbers, and a report."""
    from itermask.io.outputs import check_out
    from itermask.io.scans import read_scans
    from itermask.pipeline import RunSettings

    check_out(out)
    settings = RunSettings(gamma=gamma, sensitivity=sensitivity, seed=seed, n4=n4)
    sources = read_scans(scan, sequence, brain_mask, series)
    if len(sources) == 1:
        _look(sources[0], out, model, settings, device, threads, dicom)
        return
    failed = 0
    for source in sources:
        assert source.series is not None  # only of DICOM there are several
        try:
            _look(source, out / f"series-{source.series.label}", model, settings, device, threads, dicom)
        except InputError as error:
            print(f"itermask: {error}", file=sys.stderr)
            failed += 1
    if failed:
        raise typer.Exit(1 if failed < len(sources) else 2)


def _look(
    source: "Source",
    out: Path,
    model: str | None,
    settings: "RunSettings",
    device: str,
    threads: int | None,
    dicom: bool | None,
) -> None:
    """Look at one scan, write what was found and say it."""
    from itermask.io.dicom.write import check_dicom, write_dicom
    from itermask.io.outputs import check_out, write_finding
    from itermask.models.folder import load_model
    from itermask.pipeline import check_sequence, known_sequence
    from itermask.pipeline import run as run_scan

    scan, series = source.scan, source.series
    if series is None and dicom:
        raise InputError(f"--dicom: {scan.name} is no DICOM scan that results could refer to; leave the option out")
    check_out(out)
    if series is not None and dicom is not False:
        check_dicom(series, out)
    chosen = load_model(model, sequence=known_sequence(scan), scan=scan, device=device, threads=_threads(threads))
    check_sequence(scan, chosen)
    with progress_bar(scan.name) as bar:
        finding = run_scan(scan, chosen, settings, bar)
    write_finding(scan, finding, out)
    if series is not None:
        print(f"{series.title}: {scan.sequence} ({series.guess.evidence})")
    if chosen.why:
        print(f"model {chosen.name}: {chosen.why}")
    print_finding(scan.name, finding, out)
    if series is not None and dicom is not False:
        print(f"  {write_dicom(scan, series, finding, out)}")


def _threads(asked: int | None) -> int:
    """The threads asked for; else one for each core that this process may use, or fewer if OMP_NUM_THREADS says so."""
    from torch import get_num_threads

    from itermask.cohort.memory import usable_cores

    return min(usable_cores(), get_num_threads()) if asked is None else asked
