"""`itermask demo`: three bundled real cases, start to finish."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itermask.cli.options import DeviceOption
from itermask.cli.show import print_finding, progress_bar

if TYPE_CHECKING:
    from itermask.types import Scan

DATA = Path(__file__).parent.parent / "demo_data"
NAMES, SCAN = ("healthy", "ghosting", "ms-patient"), "scan_T1w.nii.gz"
GHOSTING = {"severity": 5, "rng": 7, "axis": 0}


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the three results.")] = Path("demo-output"),
    device: DeviceOption = "auto",
) -> None:
    """Look at a healthy scan, the same scan with ghosting, and the scan of a patient with multiple sclerosis."""
    from itermask.io.outputs import check_out, write_finding
    from itermask.io.result_folder import check_folder
    from itermask.models.folder import load_model
    from itermask.pipeline import analyze

    for name in NAMES:
        check_out(out / name)
        check_folder(out / name, [SCAN])
    model = load_model(sequence="T1w", device=device)
    for name, scan in cases():
        folder = out / name
        with progress_bar(name) as bar:
            finding = analyze(scan, model, progress=bar)
        write_finding(scan, finding, folder, {SCAN: scan.image})
        print_finding(name, finding, folder)
    print(f"\nOpen {out / 'healthy' / 'report.html'} and its two neighbours in a browser.")


def cases() -> "Iterator[tuple[str, Scan]]":
    """Name and scan of each bundled case; the ghosting is put on when asked for, always the same."""
    from dataclasses import replace

    from itermask.io.nifti import read_scan
    from itermask.synth.artifacts import corrupt

    healthy = read_scan(DATA / "healthy_T1w.nii.gz", brain_mask=DATA / "healthy_brain.nii.gz")
    yield NAMES[0], healthy
    spoiled = corrupt(healthy.image, "ghosting", brain=healthy.brain_mask, spacing=healthy.spacing, **GHOSTING)
    yield NAMES[1], replace(healthy, image=spoiled.image, name="ghosting_T1w.nii.gz")
    yield NAMES[2], read_scan(DATA / "ms-patient_T1w.nii.gz")
