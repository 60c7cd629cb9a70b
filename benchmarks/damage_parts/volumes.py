"""NIfTI files, their headers and brain masks, and BIDS trees; made from one scan of `ixi-t1`."""

import gzip
import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from damage_parts.common import Kind, Seen, damage_bytes, damage_text, once
from itermask.apps.cohort.bids import Selection, find_jobs
from itermask.io.nifti import read_scan
from itermask.prepare.brain import with_brain

SCAN, MASK = "scan_T1w.nii.gz", "mask.nii.gz"
STEP = 3  # every third voxel, so that ten thousand inputs are read in minutes
HEADER = 352


def load(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image (uint8), brain mask and affine of the first scan of `ixi-t1`, thinned out."""
    path = sorted((data / "ixi-t1").glob("*_T1w.nii.gz"))[0]
    image = nib.load(path)
    labels = np.asarray(nib.load(str(path).replace("_T1w", "_labels")).dataobj)
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=2))
    cut = (slice(None, None, STEP),) * 3
    affine = image.affine @ np.diag([STEP, STEP, STEP, 1.0])
    head = np.asarray(image.dataobj, dtype=np.float32)[cut]
    return np.clip(head * (250 / np.percentile(head, 99.9)), 0, 255).astype(np.uint8), brain[cut], affine


def save(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write a NIfTI file that says its place twice, as most do."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def _read(folder: Path) -> Seen:
    scan = read_scan(folder / SCAN)
    return Seen({"scan": (scan.image, scan.affine, None)}, scan.notes)


def _read_with_mask(folder: Path) -> Seen:
    scan, _ = with_brain(read_scan(folder / SCAN, None, folder / MASK))
    return Seen({"scan": (scan.image, scan.affine, scan.brain_mask)}, scan.notes)


def _damage_file(name: str):
    def damage(folder: Path, rng: np.random.Generator) -> str:
        content, how = damage_bytes((folder / name).read_bytes(), rng)
        (folder / name).write_bytes(content)
        return f"{name}: {how}"

    return damage


# Values that no reader could know to be wrong are left out, such as another slope, or int8 for uint8.
ODD = {
    "sizeof_hdr": [0, 347, 540, -1],
    "dim": [[0] * 8, [3, 40, 40, 0, 1, 1, 1, 1], [3, -40, 40, 30, 1, 1, 1, 1], [7] + [2] * 7,
            [3, 32767, 32767, 32767] + [1] * 4, [4, 40, 40, 30, 5, 1, 1, 1], [2, 40, 40, 1, 1, 1, 1, 1]],
    "datatype": [0, 1, 32, 128, 1024, 9999, -4, 64, 16],
    "bitpix": [0, 1, 7, 64],
    "pixdim": [[1, 0, 0, 0, 0, 0, 0, 0], [1, -2, -2, -2, 1, 1, 1, 1], [1, np.nan, 6, 6, 1, 1, 1, 1],
               [1, np.inf, 6, 6, 1, 1, 1, 1], [0, 1e-9, 1e-9, 1e-9, 1, 1, 1, 1], [1, 1e30, 6, 6, 1, 1, 1, 1],
               [1, 6, 6, 60, 1, 1, 1, 1], [np.nan] * 8],
    "vox_offset": [0, -352, 1e9, np.nan, np.inf, 348, 353],
    "scl_slope": [0, np.nan, np.inf, -np.inf, 3e38],
    "scl_inter": [np.nan, np.inf, 3e38],
    "xyzt_units": [0, 1, 3, 7, 255],
    "qform_code": [0, -1, 99], "sform_code": [0, -1, 99],
    "quatern_b": [np.nan, 5, 0.9], "quatern_c": [np.inf, -5], "qoffset_x": [np.nan, 1e30, 500],
    "srow_x": [[0] * 4, [np.nan] * 4, [1e30] * 4, [6, 0, 0, 0], [0.006, 0, 0, 0]],
    "srow_y": [[0] * 4, [6, 0, 0, 0], [np.inf] * 4],
    "srow_z": [[0] * 4, [1, 1, 1, 1]],
    "magic": [b"", b"ni1", b"n+2", b"xxx"],
    "intent_code": [1001, 1007, 2003, -5], "dim_info": [255], "descrip": [b"\xff" * 80], "slice_code": [99],
    "toffset": [np.nan], "cal_max": [np.nan],
}  # fmt: skip


def _damage_header(folder: Path, rng: np.random.Generator) -> str:
    raw = bytearray(gzip.decompress((folder / SCAN).read_bytes()))
    header = np.frombuffer(bytes(raw[:348]), dtype=nib.nifti1.header_dtype).copy()
    told = []
    for field in rng.choice(sorted(ODD), int(rng.integers(1, 4)), replace=False):
        value = ODD[field][int(rng.integers(len(ODD[field])))]
        header[field] = value
        told.append(f"{field} = {value}")
    raw[:348] = header.tobytes()
    if rng.random() < 0.2:  # whole fields of noise, with the checksum right
        at = int(rng.integers(0, 40))
        raw[at : at + 4] = rng.bytes(4)
        told.append(f"noise at byte {at}")
    (folder / SCAN).write_bytes(gzip.compress(bytes(raw), 1))
    return ", ".join(told)


def _masks(brain: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return what is given for a brain mask by mistake."""
    soft = ndimage.gaussian_filter(brain.astype(np.float32), 1.5)
    dot = np.zeros(brain.shape, np.uint8)
    dot[18:20, 18:20, 14:16] = 1
    eroded = ndimage.binary_erosion(brain, iterations=int(rng.integers(3, 6)))
    return {
        "inverted": (~brain).astype(np.uint8),
        "probability": soft,
        "percent": soft * 100,
        "standardised": np.where(brain, head - head[brain].mean(), 0).astype(np.float32),
        "the scan itself": head.astype(np.float32),
        "background 1": brain.astype(np.uint8) + 1,
        "empty": np.zeros(brain.shape, np.uint8),
        "full": np.ones(brain.shape, np.uint8),
        "dot": dot,
        "shifted": np.roll(brain, int(rng.integers(6, 14)), int(rng.integers(3))).astype(np.uint8),
        "upside down": brain[:, ::-1].astype(np.uint8),
        "not a number": np.where(brain, np.nan, 0).astype(np.float32),
        "infinite": np.where(brain, np.inf, 0).astype(np.float32),
        "negative": -brain.astype(np.float32),
        "eroded": eroded.astype(np.uint8),
        "a slice short": brain[:, :, :-1].astype(np.uint8),
        "four axes": np.stack([brain, brain], -1).astype(np.uint8),
    }


def kinds(image: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> list[Kind]:
    """Return the kinds of damaged volumes, made from a head (uint8, shape 40, 40, 30 or so), its brain and affine."""

    def make(folder: Path) -> None:
        save(folder / SCAN, image, affine)

    def make_pair(folder: Path) -> None:
        make(folder)
        save(folder / MASK, brain.astype(np.uint8), affine)

    def damage_mask(folder: Path, rng: np.random.Generator) -> str:
        if rng.random() < 0.4:
            return _damage_file(MASK)(folder, rng)
        made = _masks(brain, image.astype(np.float32), rng)
        name, mask_affine = str(rng.choice(sorted(made))), affine
        if rng.random() < 0.15:
            mask_affine = affine + np.pad(rng.normal(0, 30, (3, 1)), [(0, 1), (3, 0)])
        save(folder / MASK, made[name], mask_affine)
        return name + ("" if mask_affine is affine else ", elsewhere")

    def make_tree(folder: Path) -> None:
        about = {"Name": "damaged", "BIDSVersion": "1.10.0"}
        (folder / "dataset_description.json").write_text(json.dumps(about))
        (folder / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t30\tF\nsub-02\t40\tM\n")
        for number, subject in enumerate(("sub-01", "sub-02")):
            name = folder / subject / "anat" / f"{subject}_T1w"
            moved = np.roll(image, number, 0)
            save(name.with_suffix(".nii.gz"), moved, affine)
            name.with_suffix(".json").write_text(json.dumps({"MagneticFieldStrength": 3, "BodyPartExamined": "BRAIN"}))
            mask = folder / "derivatives" / "masks" / subject / "anat" / f"{subject}_desc-brain_mask.nii.gz"
            save(mask, np.roll(brain, number, 0).astype(np.uint8), affine)
        about |= {"DatasetType": "derivative", "GeneratedBy": [{"Name": "masks"}]}
        (folder / "derivatives" / "masks" / "dataset_description.json").write_text(json.dumps(about))

    arguments = lambda folder: ["run", str(folder / SCAN), str(folder.parent / "out")]  # noqa: E731
    with_mask = lambda folder: [*arguments(folder), "--brain-mask", str(folder / MASK)]  # noqa: E731
    return [
        Kind("NIfTI bytes", once(make), _damage_file(SCAN), _read, arguments),
        Kind("NIfTI header", once(make), _damage_header, _read, arguments),
        Kind("brain mask", once(make_pair), damage_mask, _read_with_mask, with_mask),
        Kind("BIDS tree", once(make_tree), _damage_tree, _read_tree),
    ]


def _read_tree(folder: Path) -> Seen:
    """Read each scan of a tree as a cohort run does: one that is refused costs no other."""
    from itermask.errors import InputError

    scans, said, refused = {}, list[str](), list[InputError]()
    masks = folder / "derivatives" / "masks"
    for job in find_jobs(folder, Selection(), masks if masks.is_dir() else None):
        try:
            if job.problem:
                raise InputError(job.problem)  # as the workers of a cohort do
            scan = read_scan(job.scan, job.sequence, job.brain_mask)
            scan = scan if scan.brain_mask is None else with_brain(scan)[0]
        except InputError as error:
            if "\n" in str(error):
                raise
            refused.append(error)
            said.append(str(error))
            continue
        scans[job.subject] = (scan.image, scan.affine, scan.brain_mask)
        said += scan.notes
    if refused and not scans:
        raise refused[0]
    return Seen(scans, tuple(said))


def _damage_tree(folder: Path, rng: np.random.Generator) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    name = path.relative_to(folder)
    way = rng.choice(["bytes", "lost", "folder", "link", "circle", "renamed", "not text", "swapped", "copied"])
    if way == "bytes":
        text = path.suffix in (".json", ".tsv")
        content, way = (damage_text if text else damage_bytes)(path.read_bytes(), rng)
        path.write_bytes(content)
    elif way in ("lost", "folder", "link", "circle"):
        path.unlink()
        if way == "folder":
            path.mkdir()
        elif way == "link":
            path.symlink_to("/nonexistent/file")
        elif way == "circle":
            path.symlink_to(path.name)
    elif way == "renamed":
        path.rename(path.with_name(str(rng.choice(["scan.nii.gz", "sub-03_T1w.nii.gz", "sub-01_run-_T1w.nii.gz"]))))
    elif way == "not text":
        os.link(path, os.fsencode(path.parent) + b"/sub-0\xff_T1w.nii.gz")
    elif way == "swapped":
        shutil.copyfile(folder / "participants.tsv", path.with_suffix(".copy"))
        path.with_suffix(".copy").replace(path)
    else:
        (folder / "sub-02" / "ses-1" / "anat").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "sub-02" / "ses-1" / "anat" / path.name)
    return f"{name}: {way}"
