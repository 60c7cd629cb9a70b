"""The 2D papers' slices: of every patient with a lesion those in which it is largest, prepared for a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from itermask.errors import InputError
from itermask.io.datasets import Case, read_dataset
from itermask.io.nifti import read_mask, read_scan
from itermask.models.folder import Model
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import prepare
from itermask.types import Prepared


@dataclass(frozen=True)
class Part:
    """Slices of one patient: prepared, and their label on the same grid."""

    prepared: Prepared
    label: np.ndarray


def parts_of(cases: Sequence[Case], model: Model, count: int) -> Iterator[Part]:
    """The `count` slices with the largest lesions of every case that has some in the brain."""
    for case in cases:
        assert case.lesion is not None  # others are not chosen
        scan, _ = with_brain(read_scan(case.paths[model.sequence], model.sequence, case.brain_mask))
        prepared = prepare(scan, model.grid)
        lesion = read_mask(case.lesion, scan.image.shape, scan.affine, empty=True)
        label = (prepared.placement.to_box(lesion.astype(np.float32)) >= 0.5) & prepared.brain
        areas = label.sum(axis=(0, 1))
        chosen = np.sort(np.argsort(-areas, kind="stable")[: min(count, np.count_nonzero(areas))])
        if len(chosen):
            image, brain = (np.ascontiguousarray(one[..., chosen]) for one in (prepared.image, prepared.brain))
            yield Part(replace(prepared, image=image, brain=brain), label[..., chosen])


def chosen_parts(model: Model, data: Path, split: str, limit: int | None = None, count: int = 1) -> list[Part]:
    """`parts_of` a data set's patients of one split (of all, if that is empty), the first `limit` of them.

    Raises:
        InputError: there is none.
    """
    cases = [
        case
        for case in read_dataset(data)
        if model.sequence in case.paths and case.lesion and split in ("", case.split)
    ]
    parts = list(parts_of(cases[:limit], model, count))
    if not parts:
        raise InputError(f"{data}: no {model.sequence} slice with a lesion in split {split!r}")
    return parts
