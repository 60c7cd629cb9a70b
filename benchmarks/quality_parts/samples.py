"""Clean and corrupted scans, as the quality's features see them."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from quality_parts.virtual import virtual_scan
from scipy import ndimage

from itermask.models.folder import Model
from itermask.prepare.prepare import prepare
from itermask.results.quality.crop import EMPTY, crop_brain
from itermask.results.quality.features import features
from itermask.results.quality.model_faults import MODEL_FAULTS
from itermask.synth.artifacts import ARTIFACTS, corrupt
from itermask.synth.lesions import insert_lesion, load_shapes
from itermask.types import Scan, top_axis

SEVERITIES = (1.0, 2.0, 3.0, 5.0, 8.0)
THICK = 100  # virtual scanners from this number on make thick slices
LESION = 200  # variants from this number on hold a lesion: a sick brain, not a corrupted image
LESIONS = {"dark": (0.4, 1.0), "bright": (0.2, 0.8), "textured": (0.5, 1.0)}  # contrasts
FRACTIONS = (0.001, 0.05)  # of the brain


@dataclass(frozen=True)
class Sample:
    """What to make.

    Attributes:
        source: folder of the data.
        subject: file name without its ending.
        variant: 0 for the scan as it is, else the number of the virtual scanner.
        skull: whether the head's other tissue is kept, where there is any.
        artifact: its name, empty for a clean scan.
        severity: of the artifact.
        known: whether the brain mask is the clean scan's; else it leaves out what the artifact emptied.
    """

    source: str
    subject: str
    variant: int
    skull: bool
    artifact: str = ""
    severity: float = 0.0
    known: bool = True


def subjects(data: Path, source: str, split: str) -> list[str]:
    """File names without ending, of one split."""
    folder = data / source
    if source == "oasis-t1":
        return sorted(path.name[: -len(".nii.gz")] for path in folder.glob("*.nii.gz"))
    if source == "lesions-3d":
        kinds = ("FLAIR", "T1w", "T2w")
        found = [f"{path.name}_{kind}" for path in sorted(folder.iterdir()) for kind in kinds]
        return [name for name in found if _path(data, source, name).exists()]
    rows = [line.split("\t") for line in (folder / "participants.tsv").read_text().splitlines()]
    at = rows[0].index("split")
    names = [row[0] for row in rows[1:] if row[at] == split]
    kinds = ("FLAIR", "T1w") if source == "lgg-flair" else ("T1w",)
    return [f"{n}_{k}" for n in names for k in kinds if (folder / f"{n}_{k}.nii.gz").exists()]


def _path(data: Path, source: str, name: str) -> Path:
    """File of a scan."""
    if source == "lesions-3d":
        case, kind = name.rsplit("_", 1)
        return data / source / case / f"{kind}.nii.gz"
    return data / source / f"{name}.nii.gz"


def load(data: Path, source: str, name: str, skull: bool) -> Scan:
    """A scan with its brain mask."""
    read = nib.load(_path(data, source, name))
    image = np.maximum(read.get_fdata(dtype=np.float32), 0)
    base = name.rsplit("_", 1)[0]
    if source == "ixi-t1":
        labels = np.asanyarray(nib.load(data / source / f"{base}_labels.nii.gz").dataobj) > 0
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(labels, iterations=2))
    elif source == "lgg-flair":
        brain = np.asanyarray(nib.load(data / source / f"{base}_brain.nii.gz").dataobj) > 0
    elif (_path(data, source, name).parent / "brain.nii.gz").exists():
        brain = np.asanyarray(nib.load(data / source / base / "brain.nii.gz").dataobj) > 0
    else:
        brain = ndimage.binary_fill_holes(image > 0)
    affine = read.affine
    if not skull:
        image = np.where(brain, image, 0)
        box = tuple(slice(max(0, p.start - 4), p.stop + 4) for p in ndimage.find_objects(brain.view(np.uint8))[0])
        image, brain = image[box], brain[box]
        affine = affine @ nib.affines.from_matvec(np.eye(3), [p.start for p in box])
    return Scan(image, affine, name.rsplit("_", 1)[1], brain, name)


def seed_of(*parts: object) -> int:
    """The same seed for the same words."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def clean_scan(data: Path, sample: Sample) -> Scan:
    """The scan of a sample before an artifact."""
    if sample.variant >= LESION:
        return with_lesion(data, replace(sample, variant=sample.variant - LESION))
    scan = load(data, sample.source, sample.subject, sample.skull)
    if sample.variant == 0:
        return scan
    voxels = (1.3, 2.0) if sample.source == "novosibirsk-t1" else (1.6, 2.4)
    rng = np.random.default_rng(seed_of("virtual", sample.source, sample.subject, sample.variant))
    if sample.source == "lgg-flair":
        return scan
    return virtual_scan(scan, rng, voxels, thick=sample.variant >= THICK)


def with_lesion(data: Path, sample: Sample) -> Scan:
    """The clean scan of a sample with one inserted lesion."""
    scan = clean_scan(data, sample)
    assert scan.brain_mask is not None
    rng = np.random.default_rng(seed_of("lesion", sample.source, sample.subject, sample.variant))
    shapes = load_shapes(data / "lesion-shapes" / "tumour_shapes.npz")
    shape = shapes[sorted(shapes)[rng.integers(len(shapes))]]
    kind = str(rng.choice(sorted(LESIONS)))
    fraction = float(np.exp(rng.uniform(*np.log(FRACTIONS))))
    contrast = float(rng.uniform(*LESIONS[kind]))
    image, _ = insert_lesion(
        scan.image, scan.brain_mask, shape, kind, rng, contrast=contrast, spacing=scan.spacing, fraction=fraction
    )
    return replace(scan, image=image.astype(np.float32))


def corrupted(scan: Scan, sample: Sample) -> Scan:
    """The clean scan with the sample's artifact."""
    if not sample.artifact:
        return scan
    axis, direction = top_axis(scan)
    seed = seed_of(sample.source, sample.subject, sample.variant, sample.artifact)
    made = corrupt(
        scan.image, sample.artifact, sample.severity, seed, brain=scan.brain_mask, spacing=scan.spacing,
        direction=direction, up=axis,
    )  # fmt: skip
    brain = scan.brain_mask
    assert brain is not None
    if not sample.known:
        level = np.percentile(made.image[brain], 90)
        brain = brain & (made.image > EMPTY * level)
        if brain.sum() < 1000:
            brain = scan.brain_mask
    return replace(scan, image=made.image, brain_mask=brain)


def plan(data: Path, sizes: dict[str, tuple[int, int, int]], first: int = 1) -> Iterator[Sample]:
    """Samples to learn from, so ordered that every beginning of the list is a fair choice of the whole.

    Args:
        data: folder of the data sets.
        sizes: source → how many subjects as they are, how many virtual scanners, how many artifacts on each.
        first: number of the first virtual scanner; from `THICK` on they make thick slices.

    Yields:
        for each scan the clean one, and the same with artifacts of random severity; the kinds take turns.
    """
    rows: list[tuple[float, list[Sample]]] = []
    turn = 0
    for source, (real, virtual, each) in sizes.items():
        names = subjects(data, source, "train")
        kinds = sorted(ARTIFACTS)
        wanted = [
            (names[i % len(names)], 0 if i < real else first + (i - real) // len(names)) for i in range(real + virtual)
        ]
        order = np.random.default_rng(seed_of("order", source)).permutation(len(wanted))
        for row, number in enumerate(order):
            subject, variant = wanted[number]
            rng = np.random.default_rng(seed_of("plan", source, subject, variant))
            start = Sample(
                source, subject, variant, bool(source == "lgg-flair" or (source == "ixi-t1" and rng.random() < 0.4))
            )
            made = [start]
            for _ in range(each):
                kind = kinds[(5 * turn) % len(kinds)]
                turn += 1
                severity = float(rng.choice(SEVERITIES, p=(0.1, 0.2, 0.3, 0.25, 0.15)))
                made.append(replace(start, artifact=kind, severity=severity, known=bool(rng.random() < 0.5)))
            rows.append((row / len(wanted), made))
    for _, made in sorted(rows, key=lambda row: row[0]):
        yield from made


def trial(data: Path, source: str, split: str, severities: Sequence[float], per: int = 1000) -> Iterator[Sample]:
    """Samples to report on: the clean scans as they are, then every artifact at every severity on some of them.

    Args:
        data: folder of the data sets.
        source: one of them.
        split: of it.
        severities: of the artifacts.
        per: how many subjects each artifact is put on; they take turns.
    """
    names = subjects(data, source, split)
    starts = [Sample(source, name, 0, source in ("ixi-t1", "lgg-flair") and n % 2 == 0) for n, name in enumerate(names)]
    yield from starts
    for turn in range(min(per, len(names))):
        for number, artifact in enumerate(sorted(ARTIFACTS)):
            row = (turn + number) % len(names)
            for severity in severities:
                yield replace(starts[row], artifact=artifact, severity=severity, known=(turn + number // 2) % 2 == 0)


def faults_by(model: Model, data: Path, sample: Sample) -> dict[str, float]:
    """Scores of a sample that tell faults by what a model expects; none where the sample cannot be made."""
    try:
        scan = corrupted(clean_scan(data, sample), sample)
        prepared = prepare(scan, model.grid)
    except ValueError:
        return {}
    point = model.calibration["operating_point"]
    found = model.method.detect(prepared, model.runtime, np.random.default_rng(0), point, None)
    return {name: value for name, value in found.scores.items() if name in MODEL_FAULTS}


def measure(data: Path, sample: Sample, store: Path | None) -> dict[str, float] | None:
    """Features of a sample; None where the artifact cannot be put on the scan. `store` keeps the corrupted brains."""
    parts = (
        sample.source,
        sample.subject,
        sample.variant,
        sample.skull,
        sample.artifact,
        sample.severity,
        sample.known,
    )
    path = None if store is None else store / ("_".join(map(str, parts)) + ".npz")
    if path is not None and path.exists():
        kept = np.load(path)
        if "image" not in kept:
            return None
        scan = Scan(kept["image"].astype(np.float32), kept["affine"], None, kept["brain"], sample.subject)
        return features(crop_brain(scan))
    try:
        scan = corrupted(clean_scan(data, sample), sample)
    except ValueError:
        if path is not None:
            np.savez(path, refused=1)
        return None
    assert scan.brain_mask is not None
    if path is not None:
        box = ndimage.find_objects(scan.brain_mask.view(np.uint8))[0]
        box = tuple(slice(max(0, p.start - 1), p.stop + 1) for p in box)
        level = np.percentile(scan.image[scan.brain_mask], 90)
        image = np.rint(np.clip(scan.image[box] * scan.brain_mask[box] / level * 8000, 0, 65535)).astype(np.uint16)
        with open(path, "wb") as file:
            np.savez(file, image=image, brain=scan.brain_mask[box], affine=scan.affine)
    return features(crop_brain(scan))
