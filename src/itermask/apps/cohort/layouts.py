"""How a finding is laid out as files below a results folder, and how it is read back.

`folders`: a folder a scan, named after the job, with the files of `itermask run`. `bids`: BIDS derivatives:

    sub-01_T1w.html                                       report
    sub-01/anat/sub-01_space-T1w_desc-anomaly_mask        mask, and the finding's numbers in its sidecar
    sub-01/anat/sub-01_space-T1w_desc-brain_mask          brain mask that was used
    sub-01/anat/sub-01_desc-error_T1w                     error map
    sub-01/anat/sub-01_desc-reconstruction_T1w            what the model expects
    sub-01/anat/sub-01_space-T1w_desc-passes_dseg         the pass that revealed each voxel, if the method refines
    sub-01/anat/sub-01_space-T1w_desc-missing_mask        missing tissue, if any is

each image as `.nii.gz` with a JSON sidecar. All lie on the scan's own grid. A mask has no sequence in its suffix, so
`space-T1w` says of which scan it is; other entities of the scan (`ses`, `acq`, `run`, …) stay in the names.

After the BIDS specification 1.10, chapters on derivatives.
"""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from itermask.apps.cohort.job import Job
from itermask.io.nifti import read_volume
from itermask.io.outputs import MAPS, MASKS, MISSING, PASSES, on_grid_of, plain
from itermask.results.regions import with_regions
from itermask.results.report.page import write_report
from itermask.types import Finding, Scan

AFTER_SPACE = ("split", "recording", "chunk", "seg", "scale", "res", "den", "label", "from", "to", "mode", "desc")
IMAGES = (*MASKS, *MAPS)
ABOUT = {
    "anomaly": ("Where the scan departs from what the model of healthy scans explains", "1 in the anomaly, else 0"),
    "brain": ("Brain mask that was used", "1 in the brain, else 0"),
    "error": (
        "Departure of the scan from what the model expects, as its method measures it; 0 outside the brain",
        "arbitrary",
    ),
    "reconstruction": (
        "What the model expects to see, in the scan's own intensities; 0 outside the brain",
        "arbitrary",
    ),
    "passes": (
        "The pass that revealed each voxel of the brain for good; one more than there were passes in the anomaly",
        "number of a pass from 1; 0 outside the brain",
    ),
    "missing": ("Tissue that is missing, which is part of the anomaly and of the brain", "1 where it is, else 0"),
}
LATER = ("headline", "decided_by", "quality", "plausibility")  # keys that findings of format 1 lack
UNITS = {
    "score": "that of the default score, see search.default_score; higher is less normal",
    "percentile": "percent of the model's healthy validation scans with a lower score, 0 to 100",
    "anomaly_fraction": "share of the brain's voxels, 0 to 1",
    "mean_error": "squared scaled intensity",
    "threshold": "squared scaled intensity",
}


def names_of(job: Job, layout: str) -> dict[str, str]:
    """Return the files of a job's results, below the results folder.

    Args:
        job: the scan; in `bids`, `job.source` is its path in the BIDS tree.
        layout: one of `LAYOUTS`.

    Returns:
        path by what it holds: `anomaly`, `brain`, `error`, `reconstruction`, `finding`, `report`.

    Example:
        >>> names_of(Job("sub-01_T1w", Path("sub-01_T1w.nii.gz"), "T1w"), "folders")["report"]
        'sub-01_T1w/report.html'
    """
    if layout == "folders":
        images = {name: f"{job.name}/{name}.nii.gz" for name in IMAGES}
        return images | {"finding": f"{job.name}/finding.json", "report": f"{job.name}/report.html"}
    folder = Path(job.source).parent.as_posix()
    *entities, suffix = job.name.split("_")
    indices = [n for n, entity in enumerate(entities) if entity.split("-")[0] in AFTER_SPACE]
    cut = indices[0] if indices else len(entities)
    of_mask = "_".join([*entities[:cut], f"space-{suffix}", *entities[cut:]])
    stem = "_".join(entities)
    return {
        "anomaly": f"{folder}/{of_mask}_desc-anomaly_mask.nii.gz",
        "brain": f"{folder}/{of_mask}_desc-brain_mask.nii.gz",
        "error": f"{folder}/{stem}_desc-error_{suffix}.nii.gz",
        "reconstruction": f"{folder}/{stem}_desc-reconstruction_{suffix}.nii.gz",
        "finding": f"{folder}/{of_mask}_desc-anomaly_mask.json",
        "report": f"{job.name}.html",
    }


def passes_name(job: Job, layout: str) -> str:
    """Return the file that says by which pass each voxel was revealed, of a method that refines; see `names_of`.

    Example:
        >>> passes_name(Job("sub-01_T1w", Path("sub-01_T1w.nii.gz"), "T1w"), "folders")
        'sub-01_T1w/passes.nii.gz'
    """
    if layout == "folders":
        return f"{job.name}/{PASSES}"
    return names_of(job, layout)["anomaly"].replace("_desc-anomaly_mask", "_desc-passes_dseg")


def missing_name(job: Job, layout: str) -> str:
    """Return the file that says where tissue is missing, of a scan of which some is; see `names_of`.

    Example:
        >>> missing_name(Job("sub-01_T1w", Path("sub-01_T1w.nii.gz"), "T1w"), "folders")
        'sub-01_T1w/missing.nii.gz'
    """
    if layout == "folders":
        return f"{job.name}/{MISSING}"
    return names_of(job, layout)["anomaly"].replace("_desc-anomaly_mask", "_desc-missing_mask")


def write(scan: Scan, finding: Finding, job: Job, layout: str, folder: Path) -> dict[str, int]:
    """Write all files of a finding below a folder that is nobody else's.

    Args:
        scan: that was processed.
        finding: what was found; its timings are written too, so leave them out where bytes are compared.
        job: the scan's.
        layout: one of `LAYOUTS`.
        folder: made if needed.

    Returns:
        size in bytes by path below `folder`.

    Raises:
        OSError: the folder cannot be written to.
    """
    names = names_of(job, layout)
    for name in names.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    for kinds, dtype in ((MASKS, np.uint8), (MAPS, np.float32)):
        for kind in kinds:
            nib.save(on_grid_of(scan, getattr(finding, kind).astype(dtype)), folder / names[kind])
    summary = plain(with_regions(scan, finding))
    written = list(names.values())
    if finding.revealed is not None:
        names["passes"] = passes_name(job, layout)
        nib.save(on_grid_of(scan, finding.revealed), folder / names["passes"])
        written.append(names["passes"])
    if finding.missing is not None:
        names["missing"] = missing_name(job, layout)
        nib.save(on_grid_of(scan, finding.missing.astype(np.uint8)), folder / names["missing"])
        written.append(names["missing"])
    if layout == "bids":
        for kind in [kind for kind in ABOUT if kind in names]:
            sidecar = names[kind].removesuffix(".nii.gz") + ".json"
            _write_json(folder / sidecar, _sidecar(kind, job, finding, summary))
            written += [] if sidecar == names["finding"] else [sidecar]
    else:
        _write_json(folder / names["finding"], summary)
    write_report(scan, finding, folder / names["report"])
    return sizes(folder, written)


def sizes(folder: Path, names: list[str]) -> dict[str, int]:
    """Return the size in bytes by file.

    Example:
        >>> _ = (folder / "report.html").write_text("page")
        >>> sizes(folder, ["report.html"])
        {'report.html': 4}
    """
    return {name: (folder / name).stat().st_size for name in sorted(names)}


def _sidecar(kind: str, job: Job, finding: Finding, summary: dict[str, Any]) -> dict[str, Any]:
    """Return what the JSON file beside an image says."""
    description, units = ABOUT[kind]
    settings = finding.settings
    fields: dict[str, Any] = {
        "Description": description,
        "Units": units,
        "Sources": [f"bids:raw:{job.source}"],
        "SkullStripped": kind not in ("anomaly", "missing"),
        "BiasCorrection": settings.get("bias_correction", "none"),
        "Alignment": settings.get("alignment", "none"),
        "Model": settings.get("model"),
        "Notice": summary["notice"],
    }
    if kind in (*MASKS, "missing"):
        fields["Type"] = "Brain" if kind == "brain" else "ROI"
    if kind not in MAPS:
        fields["SpatialReference"] = f"bids:raw:{job.source}"
    if kind == "anomaly":
        fields |= {"Finding": summary, "FindingUnits": UNITS}
    return fields


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(plain(fields), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_summary(job: Job, layout: str, out: Path) -> dict[str, Any]:
    """Return the numbers of a finding as they were written.

    Raises:
        OSError: they cannot be read.
        ValueError: they are not what `write` wrote.
    """
    fields = json.loads((out / names_of(job, layout)["finding"]).read_text(encoding="utf-8"))
    summary = fields.get("Finding") if layout == "bids" else fields
    if not isinstance(summary, dict) or "verdict" not in summary:
        raise ValueError("no finding in it")
    return summary


def read(scan: Scan, job: Job, layout: str, out: Path) -> Finding:
    """Return a finding as it was written, such as to draw its report again.

    Args:
        scan: that was processed.
        job: the scan's.
        layout: one of `LAYOUTS`.
        out: results folder.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is not what `write` wrote.
    """
    names = names_of(job, layout)
    summary = read_summary(job, layout, out)
    fields: dict[str, Any] = {key: summary[key] for key in ("verdict", "scores", "search", "profile", "timings")}
    fields |= {key: summary[key] for key in ("settings", "versions")}
    fields |= {key: float("nan") if summary[key] is None else summary[key] for key in UNITS}
    for kinds, dtype in ((MASKS, bool), (MAPS, np.float32)):
        for kind in kinds:
            fields[kind] = read_volume(out / names[kind]).data.astype(dtype)
    fields |= {key: summary[key] for key in LATER if key in summary}
    fields["stands_out"] = float("nan") if fields.get("stands_out") is None else fields["stands_out"]
    fields["questions"] = tuple(summary.get("questions", ()))
    extent = summary.get("stands_out")
    fields["stands_out"] = float("nan") if extent is None else extent
    passes = out / passes_name(job, layout)
    if "passes" in summary["search"] and passes.exists():
        fields["revealed"] = read_volume(passes).data.astype(np.uint8)
    missing = out / missing_name(job, layout)
    if missing.exists():
        fields["missing"] = read_volume(missing).data.astype(bool)
    return Finding(**fields, affine=scan.affine, warnings=tuple(summary["warnings"]))
