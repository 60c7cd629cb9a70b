"""The upper bound of the IterMask2 paper's tables: each slice with the best of all start shares and thresholds.

    python benchmarks/itermask2_bound.py runs/flair/itermask2 DATA/lgg-flair --insert docs/results.md

Of every patient the slice with the largest lesion. The search sees the labels, so it says what the iteration could
reach, not what a user gets; beside it stands the best threshold of the same slices' error maps.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from largest_slices import Part, chosen_parts
from rich.progress import track

from itermask.core.slice_refinement import best_thresholds
from itermask.errors import InputError
from itermask.evaluation.benchmark.write import between_marks
from itermask.evaluation.metrics.intervals import bootstrap_interval
from itermask.methods.itermask2 import IterMask2
from itermask.models.folder import load_model
from itermask.runtime.base import Runtime

NAME = "itermask2-bound"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of an itermask2 model")
    parser.add_argument("data", type=Path, help="data set with lesion maps, see docs/datasets.md")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, help="process at most this many patients")
    parser.add_argument("--rise", type=float, default=0.02, help="step of the threshold, squared scaled intensities")
    parser.add_argument("--highest", type=float, default=3.0, help="last threshold")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--insert", type=Path, help="document with marks; else the text is printed")
    chosen = parser.parse_args(arguments)
    try:
        text = run(chosen)
        if chosen.insert:
            between_marks(chosen.insert, NAME, text)
        else:
            print(text)
    except InputError as error:
        parser.error(str(error))


def run(chosen: argparse.Namespace) -> str:
    """The bound over all chosen slices, as a sentence.

    Raises:
        InputError: another method's model, or no slice.
    """
    model = load_model(chosen.model)
    if not isinstance(model.method, IterMask2):
        raise InputError(f"{chosen.model}: is a {model.method.name} model; give an itermask2 model")
    parts = chosen_parts(model, chosen.data, chosen.split, chosen.limit)
    found = [
        bound(model.method, model.runtime, part, chosen.seed, chosen.rise, chosen.highest)
        for part in track(parts, "upper bound", transient=True)
    ]
    interval = bootstrap_interval(found, np.random.default_rng(chosen.seed))
    return (
        f"Best of six start shares and of thresholds from {chosen.rise:g} to {chosen.highest:g} in steps of "
        f"{chosen.rise:g}, chosen for each slice with its label in sight: Dice "
        f"**{interval.mean:.2f}** ({interval.low:.2f}–{interval.high:.2f}) over {len(found)} slices of "
        f"{chosen.data.resolve().name} ({chosen.split or 'all'}), model `{model.name}`, seed {chosen.seed}."
    )


def bound(method: IterMask2, runtime: Runtime, part: Part, seed: int, rise: float, highest: float) -> float:
    """The best Dice of a patient's slice."""
    search = method.explore(part.prepared, runtime, np.random.default_rng(seed))
    labels = np.moveaxis(part.label[..., search.held], -1, 0)
    found = best_thresholds(
        search.images, search.brains, labels, search.reconstruct, search.first, rise=rise, highest=highest
    )
    return float(found.mean())


if __name__ == "__main__":
    main()
