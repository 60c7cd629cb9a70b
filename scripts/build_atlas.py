"""Make the template that the package ships from IXI scans and their anatomical labels (DLMUSE), in MNI space.

usage: python scripts/build_atlas.py IXI_FOLDER OUT.npz      (needs nilearn, whose MNI152 template gives the space)

The training subjects of IXI_FOLDER/participants.tsv are registered to MNI152, averaged, registered to that average and
averaged again. What is written holds averages of IXI alone; nilearn's template only says where the axes of MNI lie.
"""

import csv
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template
from scipy import ndimage

from itermask.prepare import atlas, register
from itermask.prepare.atlas import Template

COARSE, FINE = 4.0, 2.0  # mm
BOUNDS = np.array([[-80.0, 80.0], [-116.0, 84.0], [-80.0, 92.0]])  # of MNI space
FLUID = {1, 4, 11, 46, 49, 50, 51, 52}
WHITE = {35, 40, 41, 61, 62, *range(81, 96)}
LOBES = {
    "frontal": {104, 112, 118, 120, 124, 136, 140, 142, 146, 150, 152, 162, 164, 178, 182, 186, 190, 192, 204},
    "cingulate": {100, 138, 166},
    "insular": {102, 172},
    "parietal": {106, 148, 168, 174, 176, 194, 198},
    "temporal": {116, 122, 132, 154, 170, 180, 184, 200, 202, 206},
    "occipital": {108, 114, 128, 134, 144, 156, 160, 196},
}
PAIRS = {
    (81, 82): "frontal white matter",
    (83, 84): "occipital white matter",
    (85, 86): "parietal white matter",
    (87, 88): "temporal white matter",
    (89, 90): "fornix",
    (91, 92): "internal capsule",
    (93, 94): "internal capsule",
    (38, 39): "cerebellar cortex",
    (40, 41): "cerebellar white matter",
    (23, 30): "nucleus accumbens",
    (31, 32): "amygdala",
    (36, 37): "caudate nucleus",
    (47, 48): "hippocampus",
    (49, 50): "lateral ventricle",
    (51, 52): "lateral ventricle",
    (55, 56): "pallidum",
    (57, 58): "putamen",
    (59, 60): "thalamus",
    (61, 62): "ventral diencephalon",
    (76, 75): "basal forebrain",
}
SINGLE = {
    4: "third ventricle",
    11: "fourth ventricle",
    35: "brainstem",
    71: "cerebellar vermis",
    72: "cerebellar vermis",
    73: "cerebellar vermis",
    95: "corpus callosum",
}


def part_names():
    """DLMUSE label → name of a part; labels that name no part (fluid around the brain) are left out."""
    found = dict(SINGLE)
    for (right, left), name in PAIRS.items():
        found |= {right: f"right {name}", left: f"left {name}"}
    for lobe, right_labels in LOBES.items():
        for label in right_labels:
            found |= {label: f"right {lobe} cortex", label + 1: f"left {lobe} cortex"}
    return found


def grid(spacing):
    """Shape and affine of a grid along MNI axes."""
    shape = tuple(round(float(high - low) / spacing) + 1 for low, high in BOUNDS)
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = BOUNDS[:, 0]
    return shape, affine


def on_grid(volume, affine, spacing, order=1):
    """A volume, sampled on a grid of MNI space after averaging over about its voxels; `affine`: voxels → MNI."""
    shape, target = grid(spacing)
    away = np.linalg.inv(affine) @ target
    own = np.linalg.norm(affine[:3, :3], axis=0)
    sigma = np.sqrt(np.maximum(spacing**2 - own**2, 0)) / 2.355 / own if order else np.zeros(3)
    return ndimage.affine_transform(
        ndimage.gaussian_filter(volume, sigma) if sigma.any() else volume,
        away[:3, :3], away[:3, 3], output_shape=shape, order=order,
    )  # fmt: skip


def first_template():
    """MNI152 as nilearn has it."""
    image = load_mni152_template(resolution=1)
    whole, affine = np.asarray(image.dataobj, dtype=np.float32), image.affine
    brain = ndimage.binary_fill_holes(whole > 0.2).astype(np.float32)
    grey, white = (
        np.asarray(load(resolution=1).dataobj, dtype=np.float32) * brain
        for load in (load_mni152_gm_template, load_mni152_wm_template)
    )
    parts = [on_grid(part, affine, COARSE) for part in (brain, brain - grey - white, grey, white)]
    tissues = np.clip(np.stack(parts[1:]), 0, 1)
    return Template(parts[0], tissues, grid(COARSE)[1], np.zeros((1, 1, 1), np.uint8), np.eye(4), ("",), 0.93)


def use(template):
    """Let the registration use a template."""
    atlas.template = lambda: template
    register._level.cache_clear()


def averaged(folder, subjects, names):
    """Register every subject to the template in use; return the average."""
    shape, _ = grid(FINE)
    brain, tissues, sizes = 0.0, 0.0, []
    votes = np.zeros((len(names), *shape), dtype=np.uint16)
    numbers = np.zeros(256, dtype=np.uint8)
    for label, name in part_names().items():
        numbers[label] = names.index(name)
    for subject in subjects:
        loaded = nib.load(folder / f"{subject}_labels.nii.gz")
        labels = np.asarray(loaded.dataobj).astype(np.uint8)
        image = np.asarray(nib.load(folder / f"{subject}_T1w.nii.gz").dataobj, dtype=np.float32)
        mask = ndimage.binary_fill_holes(ndimage.binary_closing(labels > 0, iterations=2))
        found = register.register(register.small_copy(image, mask, loaded.affine))
        to_mni = found.to_mni @ loaded.affine
        sizes.append(np.log(found.stretch).mean())
        brain = brain + on_grid(mask.astype(np.float32), to_mni, COARSE)
        fluid, white = np.isin(labels, list(FLUID)), np.isin(labels, list(WHITE))
        split = np.stack([(fluid | (labels == 0)) & mask, mask & ~fluid & ~white & (labels > 0), white & mask])
        tissues = tissues + np.stack([on_grid(one.astype(np.float32), to_mni, COARSE) for one in split])
        placed = on_grid(numbers[labels], to_mni, FINE, order=0)
        for number in range(len(names)):
            votes[number] += placed == number
    count = len(subjects)
    usual = float(np.exp(np.mean(sizes)))
    regions = votes.argmax(axis=0).astype(np.uint8)
    named = 1 + votes[1:].argmax(axis=0).astype(np.uint8)
    regions = np.where(votes[1:].sum(axis=0) >= 0.3 * count, named, 0).astype(np.uint8)
    return Template(brain / count, tissues / count, grid(COARSE)[1], regions, grid(FINE)[1], names, usual)


def symmetric(template):
    """A template whose brain and tissues are those of its mirror image: the registration shall prefer no side."""
    mirrored = [(volume + volume[..., ::-1, :, :]) / 2 for volume in (template.brain, template.tissues)]
    kept = ("affine", "regions", "regions_affine", "names", "usual_size")
    return Template(*mirrored, *[getattr(template, name) for name in kept])


def main():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    with (folder / "participants.tsv").open() as file:
        subjects = [row["participant_id"] for row in csv.DictReader(file, delimiter="\t") if row["split"] == "train"]
    names = ("", *sorted(set(part_names().values())))
    use(first_template())
    for _ in range(2):
        found = symmetric(averaged(folder, subjects, names))
        use(found)
        print(f"{len(subjects)} subjects, usual size {found.usual_size:.4f}")
    np.savez_compressed(
        out,
        brain=np.rint(255 * found.brain).astype(np.uint8),
        tissues=np.rint(255 * found.tissues).astype(np.uint8),
        affine=found.affine,
        regions=found.regions,
        regions_affine=found.regions_affine,
        names=json.dumps(names),
        usual_size=found.usual_size,
    )
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
