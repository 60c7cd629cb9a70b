"""`itermask demo`: four real cases that come with the package, start to finish."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itermask.cli.options import DeviceOption
from itermask.cli.show import print_finding, progress_bar

if TYPE_CHECKING:
    from itermask.types import Finding, Scan

DATA = Path(__file__).parent.parent / "demo_data"
CASES = {  # name → file, sequence
    "ms-patient": ("ms-patient_FLAIR.nii.gz", "FLAIR"),
    "ghosting": ("healthy_T1w.nii.gz", "T1w"),
    "healthy": ("healthy_T1w.nii.gz", "T1w"),
    "ms-patient-t1w": ("ms-patient_T1w.nii.gz", "T1w"),
}
GHOSTING = {"severity": 5, "rng": 7, "axis": 0}
MISSED = 0.3  # a case of whose lesions less is marked is called missed


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the four results.")] = Path("demo-output"),
    device: DeviceOption = "auto",
) -> None:
    """Analyse a patient's FLAIR scan, a scan with ghosting, the same without, and the patient's T1w scan."""
    from itermask.io.outputs import check_out, write_finding
    from itermask.io.result_folder import check_folder
    from itermask.models.folder import load_model
    from itermask.pipeline import analyze

    for name, (_, sequence) in CASES.items():
        check_out(out / name)
        check_folder(out / name, [scan_file(sequence)])
    models = {sequence: load_model(sequence=sequence, device=device) for _, sequence in CASES.values()}
    for name, scan in cases():
        folder, sequence = out / name, CASES[name][1]
        with progress_bar(name) as bar:
            finding = analyze(scan, models[sequence], progress=bar)
        write_finding(scan, finding, folder, {scan_file(sequence): scan.image})
        print_finding(name, finding, folder)
        if name.startswith("ms-patient"):
            print(f"  {compared_with_experts(scan, finding)}")
    print(f"\nOpen {out / 'ms-patient' / 'report.html'} in a browser first, then the three other reports.")


def scan_file(sequence: str) -> str:
    """Name of the scan's copy in a result folder."""
    return f"scan_{sequence}.nii.gz"


def cases() -> "Iterator[tuple[str, Scan]]":
    """Name and scan of each bundled case; the ghosting is put on when asked for, always the same."""
    from dataclasses import replace

    from itermask.io.nifti import read_scan
    from itermask.synth.artifacts import corrupt

    for name, (file, sequence) in CASES.items():
        brain = DATA / "healthy_brain.nii.gz" if file.startswith("healthy") else None
        scan = read_scan(DATA / file, sequence, brain)
        if name == "ghosting":
            changed = corrupt(scan.image, "ghosting", brain=scan.brain_mask, spacing=scan.spacing, **GHOSTING)
            scan = replace(scan, image=changed.image, name="ghosting_T1w.nii.gz")
        yield name, scan


def compared_with_experts(scan: "Scan", finding: "Finding") -> str:
    """Say how much of the lesions that experts outlined in the patient's scans is marked."""
    import numpy as np

    from itermask.io.nifti import read_mask

    lesion = read_mask(DATA / "ms-patient_lesion.nii.gz", scan.image.shape, scan.affine)
    voxel_ml = float(np.prod(scan.spacing)) / 1000
    marked, outlined = voxel_ml * float((finding.anomaly & lesion).sum()), voxel_ml * float(lesion.sum())
    text = f"of the {outlined:.1f} mL of lesions that experts outlined, {marked:.1f} mL are marked"
    return text if marked >= MISSED * outlined else f"{text}: a case that is missed"
