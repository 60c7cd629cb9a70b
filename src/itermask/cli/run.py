"""`itermask run`: one scan in, a finding out."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from itermask.cli.console import print_json, refusals_as_json
from itermask.cli.options import (
    AlignOption,
    DeviceOption,
    GammaOption,
    JSONOption,
    ModelOption,
    N4Option,
    SeedOption,
    SensitivityOption,
    brain_mask_option,
    sequence_option,
)  # fmt: skip
from itermask.cli.series import plain_series
from itermask.cli.show import print_finding, progress_bar
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.io.scans import Source
    from itermask.pipeline import RunSettings
    from itermask.types import Finding


def run(
    scan: Annotated[Path, typer.Argument(help="NIfTI file (.nii, .nii.gz), or DICOM folder, zip or file.")],
    out: Annotated[Path, typer.Argument(help="Folder for the results; made if needed.")],
    sequence: Annotated[
        Optional[str], sequence_option("Sequence, e.g. T1w; else taken from name, sidecar or DICOM header.")
    ] = None,
    brain_mask: Annotated[Optional[Path], brain_mask_option("it is found")] = None,
    model: ModelOption = None,
    gamma: GammaOption = None,
    sensitivity: SensitivityOption = None,
    n4: N4Option = False,
    align: AlignOption = False,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: Annotated[
        Optional[int], typer.Option(help="Threads on the CPU; default: one for each core that this process may use.")
    ] = None,
    series: Annotated[
        Optional[str],
        typer.Option(help="DICOM series: label, number, UID, part of its description, or all; see 'itermask series'."),
    ] = None,
    dicom: Annotated[
        Optional[bool],
        typer.Option("--dicom/--no-dicom", help="Also write DICOM results; done for DICOM scans unless refused."),
    ] = None,
    as_json: JSONOption = False,
) -> None:
    """Find what is not normal in one scan: masks and maps on its own grid, numbers, and a report."""
    from itermask.io.outputs import check_out
    from itermask.io.scans import read_scans
    from itermask.pipeline import RunSettings

    with refusals_as_json(as_json, None, scan=str(scan)):
        _check_threads(threads)
        check_out(out, scan, brain_mask)
        settings = RunSettings(gamma=gamma, sensitivity=sensitivity, seed=seed, n4=n4, align=align)
        sources = read_scans(scan, sequence, brain_mask, series)
        runner = _Run(scan, brain_mask, model, settings, device, threads, dicom, as_json)
        if len(sources) == 1:
            runner.at(sources[0], out)
            runner.name_aside(sources[0])
            return
    failed = 0
    for source in sources:
        assert source.series is not None  # only of DICOM there are several
        folder = out / f"series-{source.series.label}"
        try:
            runner.at(source, folder)
        except InputError as error:
            if as_json:
                print_json({"error": str(error), "scan": str(scan), "series": plain_series(source.series)}, None)
            else:
                print(f"itermask: {error}", file=sys.stderr)
            failed += 1
    runner.name_aside(sources[0])
    if failed:
        raise typer.Exit(1 if failed < len(sources) else 2)


@dataclass(frozen=True)
class _Run:
    """How each scan of a path is processed, and told: in lines, or as JSON on one line."""

    path: Path
    brain_mask: Path | None
    model: str | None
    settings: "RunSettings"
    device: str
    threads: int | None
    dicom: bool | None
    as_json: bool

    def name_aside(self, source: "Source") -> None:
        """Say on standard error what else the path holds and why it is not processed; JSON holds it already."""
        for line in () if self.as_json else source.aside:
            print(f"itermask: {line}", file=sys.stderr)

    def at(self, source: "Source", out: Path) -> None:
        """Process one scan, write what was found and say it."""
        from itermask.io.dicom.sources import why_no_results
        from itermask.io.dicom.write import check_dicom, write_dicom
        from itermask.io.outputs import check_out, write_finding
        from itermask.io.result_folder import locked
        from itermask.models.card import read_card
        from itermask.models.choice import find
        from itermask.models.folder import load_model
        from itermask.models.suits import check_sequence, check_thickness, known_sequence
        from itermask.pipeline import analyze

        scan, series = source.scan, source.series
        if series is None and self.dicom:
            raise InputError(f"--dicom: {scan.name} is not a DICOM scan that results could refer to; omit --dicom")
        check_out(out, self.path, self.brain_mask)
        to_dicom = series if self.dicom is not False else None
        if to_dicom is not None and self.dicom is None and (why := why_no_results(to_dicom)):
            scan, to_dicom = scan.noted(f"There are no DICOM results: {why}."), None
        if to_dicom is not None:
            check_dicom(to_dicom, out)
        sequence = known_sequence(scan)
        choice = find(self.model, sequence, scan)
        for check in (check_sequence, check_thickness):  # before PyTorch is loaded
            check(scan, choice.folder.name, read_card(choice.folder))
        with locked(out):
            threads = _threads(self.threads)
            chosen = load_model(self.model, sequence=sequence, scan=scan, device=self.device, threads=threads)
            with progress_bar(scan.name) as bar:
                finding = analyze(scan, chosen, self.settings, bar)
            write_finding(scan, finding, out)
            written = None if to_dicom is None else write_dicom(scan, to_dicom, finding, out)
        if self.as_json:
            print_json(_plain(self.path, source, finding, out, written), None)
            return
        if series is not None:
            print(f"{series.title}: {scan.sequence} ({series.guess.evidence})")
        if chosen.why:
            print(f"model {chosen.name}: {chosen.why}")
        print_finding(scan.name, finding, out)
        if written is not None:
            print(f"  {written}")


def _plain(path: Path, source: "Source", finding: "Finding", out: Path, dicom: Path | None) -> dict[str, Any]:
    """Return one scan, as JSON holds it: where everything lies, the volumes, and all that `finding.json` says."""
    from itermask.io.outputs import MISSING, OUTPUTS, PASSES
    from itermask.results.regions import voxel_ml

    files = {name.split(".")[0]: str(out / name) for name in (*OUTPUTS, PASSES, MISSING) if (out / name).is_file()}
    millilitres = voxel_ml(finding.affine)
    return {
        "scan": str(path),
        "series": None if source.series is None else plain_series(source.series),
        "left_aside": list(source.aside),
        "out": str(out),
        "files": files if dicom is None else files | {"dicom": str(dicom)},
        "anomaly_ml": float(finding.anomaly.sum()) * millilitres,
        "brain_ml": float(finding.brain.sum()) * millilitres,
        **json.loads((out / "finding.json").read_text(encoding="utf-8")),
    }


def _check_threads(asked: int | None) -> None:
    """Refuse numbers of threads that no machine has use for; far too many cannot even be started."""
    most = max(64, 4 * (os.cpu_count() or 1))
    if asked is not None and not 1 <= asked <= most:
        raise InputError(f"--threads {asked}: must be between 1 and {most} on this machine")


def _threads(asked: int | None) -> int:
    """Return the threads asked for; else one for each core that is usable, or fewer if OMP_NUM_THREADS says so."""
    from torch import get_num_threads

    from itermask.apps.cohort.memory import usable_cores

    return min(usable_cores(), get_num_threads()) if asked is None else asked
