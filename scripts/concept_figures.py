"""Draw the figures of docs/concepts: what the methods do, shown on the bundled scans with the bundled model.

    python scripts/concept_figures.py [docs/pictures]

The three demo scans are processed once (half a minute). The bundled scans are T1w volumes, so the first pass of
IterMask2 is shown with the one for volumes, and the strips of MMCCD without a model.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from itermask.cli.demo import cases
from itermask.core.guidance import high_frequency
from itermask.core.masks import MaskMix, training_mask
from itermask.core.profile import HealthyProfiles
from itermask.core.slice_refinement import largest_errors
from itermask.core.strips import strip_schedule
from itermask.methods.itermask3d.detection import Search
from itermask.models.folder import Model, load_model
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import prepare
from itermask.results.scoring import compare_scores, limits
from itermask.types import Detection, Prepared

HEALTHY, PATIENT = "healthy", "ms-patient-t1w"
COLOURS = {HEALTHY: "#2a9d8f", "ghosting": "#e9a03b", PATIENT: "#c1121f"}
DPI, PALETTE = 100, 96
RED = (0.86, 0.1, 0.13)
GREY = {"cmap": "gray", "vmin": -3, "vmax": 4.5}


@dataclass(frozen=True)
class Analysed:
    """One demo scan, processed."""

    prepared: Prepared
    search: Search
    found: Detection


def analyse_all(model: Model) -> dict[str, Analysed]:
    """Return every demo scan of the model's sequence on the model's grid, with what was found."""
    point, analysed = model.calibration["operating_point"], {}
    for name, scan in cases():
        if scan.sequence not in model.sequences:
            continue
        prepared = prepare(with_brain(scan)[0], model.grid)
        search = model.method.explore(prepared, model.runtime, np.random.default_rng(0))
        analysed[name] = Analysed(prepared, search, model.method.finalize(search, point))
    return analysed


def save(figure: Figure, path: Path) -> None:
    """A figure as a small PNG file."""
    partial = path.with_name(f".part-{path.name}")
    figure.savefig(partial, dpi=DPI, facecolor="white", format="png")
    Image.open(partial).convert("RGB").quantize(PALETTE).save(path, optimize=True)
    partial.unlink()
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def panels(count: int, height: float = 2.7) -> tuple[Figure, np.ndarray]:
    """A row of pictures."""
    figure = Figure(figsize=(2.05 * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def show(axes: Axes, image: np.ndarray, title: str, **how: object) -> None:
    """An axial slice, front up and the right side on the left."""
    axes.imshow(np.fliplr(image.T), origin="lower", interpolation="nearest", **how)
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def hide(axes: Axes, mask: np.ndarray, colour: tuple[float, float, float] = RED, alpha: float = 0.75) -> None:
    """Colour over what is hidden."""
    axes.imshow(np.fliplr(mask.T)[..., None] * (*colour, alpha), origin="lower", interpolation="nearest")


def draw_guidance(one: Analysed, cutoff: float, path: Path) -> None:
    """What the network sees of a scan, part of which is hidden."""
    prepared, rng = one.prepared, np.random.default_rng(18)
    at = prepared.image.shape[2] // 2 + 2
    hidden = training_mask(prepared.brain, rng, MaskMix(0, 1, 0))
    seen = np.where(hidden, rng.standard_normal(prepared.image.shape), prepared.image)
    fine = high_frequency(prepared.image, prepared.spacing, cutoff)
    figure, (first, second, third, fourth) = panels(4)
    show(first, prepared.image[..., at], "the scan x", **GREY)
    show(second, fine[..., at], "guidance h: edges only", cmap="gray", vmin=-1.5, vmax=1.5)
    show(third, seen[..., at], "noise in what is hidden", **GREY)
    show(fourth, hidden[..., at], "the mask M", cmap="gray_r", vmin=0, vmax=1)
    save(figure, path)


def draw_training_masks(one: Analysed, path: Path) -> None:
    """Examples of each kind of training mask."""
    prepared, at = one.prepared, one.prepared.image.shape[2] // 2 + 2
    kinds = [("ellipsoid", (1, 0, 0), 3), ("ellipsoid", (1, 0, 0), 13), ("smooth field", (0, 1, 0), 6)]
    kinds += [("smooth field", (0, 1, 0), 18), ("whole brain", (0, 0, 1), 0)]
    figure, axes = panels(len(kinds))
    for ax, (title, shares, seed) in zip(axes, kinds, strict=True):
        show(ax, prepared.image[..., at], title, **GREY)
        drawn = training_mask(prepared.brain, np.random.default_rng(seed), MaskMix(*shares), prepared.spacing)
        hide(ax, drawn[..., at])
    save(figure, path)


def draw_curve(analysed: dict[str, Analysed], path: Path) -> None:
    """Threshold curves with the tangent at the stop, and their slopes."""
    figure = Figure(figsize=(8.2, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in (HEALTHY, PATIENT):
        trace = analysed[name].found.trace
        curve, slope, step = np.array(trace["curve"]), np.array(trace["slope"]), trace["step"]
        percent = 100 * np.arange(1, curve.size + 1) / curve.size
        where, level, gamma = percent[step], curve[step], trace["gamma"]
        left.plot(percent, curve, color=COLOURS[name], label=name)
        left.plot(where, level, "o", color=COLOURS[name], markersize=5)
        about = np.array([where - 1.2, min(100, where + 0.8)])
        left.plot(about, level + gamma * (about - where), color="black", linewidth=1, linestyle="--")
        right.semilogy(percent, np.maximum(slope, 1e-4), color=COLOURS[name])
        right.plot(where, slope[step], "o", color=COLOURS[name], markersize=5)
    right.axhline(gamma, color="black", linewidth=1, linestyle="--")
    right.text(86.2, 1.25 * gamma, "gamma", fontsize=9)
    top = 1.6 * max(analysed[name].found.trace["own_threshold"] for name in (HEALTHY, PATIENT))
    left.set(xlim=(86, 100.2), ylim=(0, top), xlabel="brain revealed, %", ylabel="error threshold T")
    left.set_title("the threshold curve's end; dashed: slope gamma", fontsize=9)
    left.legend(frameon=False, fontsize=9, loc="upper left")
    right.set(xlim=(86, 100.2), xlabel="brain revealed, %", ylabel="slope, per %")
    right.set_title("its slope; dots: where it passes gamma", fontsize=9)
    save(figure, path)


def draw_passes(one: Analysed, path: Path) -> None:
    """The refinement, pass by pass, on the slice with most anomaly."""
    prepared, found = one.prepared, one.found
    assert found.revealed is not None
    at = int(found.mask.sum(axis=(0, 1)).argmax())
    passes = found.trace["passes"]
    numbers = sorted({0, 1, 2, 4, passes // 2 + 2, passes})
    figure, axes = panels(len(numbers))
    for ax, number in zip(axes, numbers, strict=True):
        hidden = prepared.brain & (found.revealed > number)
        share = 100 * found.trace["mask_voxels"][number] / prepared.brain.sum()
        title = "start" if number == 0 else f"pass {number} of {passes}"
        show(ax, prepared.image[..., at], f"{title}: {share:.3g} %", **GREY)
        hide(ax, hidden[..., at])
    save(figure, path)


def draw_first_result(one: Analysed, path: Path) -> None:
    """Everything of the brain hidden: what the guidance alone tells, and what is hidden next."""
    prepared = one.prepared
    at = int(one.found.mask.sum(axis=(0, 1)).argmax())
    expected = one.search.reconstruct(prepared.image, prepared.brain)
    error = np.where(prepared.brain, (prepared.image - expected) ** 2, 0)
    mask = largest_errors(error[..., at][None], prepared.brain[..., at][None])[0]
    figure, (first, second, third, fourth) = panels(4)
    show(first, prepared.image[..., at], "the slice", **GREY)
    show(second, expected[..., at], "made from its guidance alone", **GREY)
    show(third, np.sqrt(error[..., at]), "the difference", cmap="magma", vmin=0, vmax=2.5)
    show(fourth, prepared.image[..., at], "hidden next: the largest 60 %", **GREY)
    hide(fourth, mask)
    save(figure, path)


def draw_strips(one: Analysed, path: Path) -> None:
    """Strips that MMCCD hides, one after the other, and how often each pixel is hidden."""
    prepared, at = one.prepared, one.prepared.image.shape[2] // 2 + 2
    image, brain = prepared.image[..., at], prepared.brain[..., at]
    noise = np.random.default_rng(0).standard_normal(image.shape)
    single, shared = strip_schedule(image.shape, 4, 24), strip_schedule(image.shape, 4, 24, 16)
    figure, axes = panels(4)
    examples = [
        (single[11], "one strip"),
        (single[35], "the other direction"),
        (shared[1], "strips that share a sample"),
    ]
    for ax, (hiding, title) in zip(axes, examples, strict=False):
        show(ax, np.where(hiding.mask & brain, noise, image), title, **GREY)
        hide(ax, hiding.mask, alpha=0.35)
    times = np.sum([hiding.mask for hiding in single], axis=0)
    show(axes[3], np.where(brain, times, 0), f"hidden {times.min()} to {times.max()} times", cmap="viridis", vmin=0)
    save(figure, path)


def draw_profile(analysed: dict[str, Analysed], model: Model, path: Path) -> None:
    """The demo scans' profiles and scores beside the healthy range."""
    card = model.calibration
    healthy = np.array(card["healthy"]["profile_distance"])
    profiles = HealthyProfiles.from_json(card["profile"])
    figure = Figure(figsize=(8.2, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    left.axhspan(-2, 2, color="0.9")
    left.text(0, 1.1, "healthy", fontsize=8, color="0.4")
    borderline, outside = limits(list(healthy))
    right.hist(np.log2(healthy), bins=12, color="0.75")
    for height, (name, one) in enumerate(analysed.items()):
        z = profiles.standardise(one.found.profile)
        left.plot(range(len(z)), list(z.values()), "o-", color=COLOURS[name], markersize=3, linewidth=1, label=name)
        score = compare_scores(one.found, card)[0]["profile_distance"]["value"]
        right.axvline(np.log2(score), color=COLOURS[name], linewidth=2)
        right.text(np.log2(score), 9.4 - 0.9 * height, f" {name}", color=COLOURS[name], fontsize=8)
    left.set_xticks(range(len(z)), [each.replace("_", " ") for each in z], rotation=60, ha="right", fontsize=7)
    left.set_yscale("symlog", linthresh=4)
    left.set_yticks([-2, 0, 2, 4, 8, 16], ["−2", "0", "2", "4", "8", "16"])
    left.set_ylabel("healthy standard deviations")
    left.legend(frameon=False, fontsize=8)
    for at in (borderline, outside):
        right.axvline(np.log2(at), color="black", linewidth=1, linestyle="--")
    ticks = [0.5, 1, 2, 4, 8, 16]
    right.set_xticks(np.log2(ticks), [f"{tick:g}" for tick in ticks])
    right.set(xlabel="profile distance", ylabel="healthy validation scans")
    right.set_title("score; dashed: borderline, outside", fontsize=9)
    left.set_title("profile", fontsize=9)
    save(figure, path)


def main() -> None:
    mpl.use("agg")
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/pictures")
    model = load_model("t1w-2mm", device="cpu")
    analysed = analyse_all(model)
    draw_guidance(analysed[HEALTHY], model.card["method_settings"]["cutoff"], out / "guidance.png")
    draw_training_masks(analysed[HEALTHY], out / "training-masks.png")
    draw_curve(analysed, out / "threshold-curve.png")
    draw_passes(analysed[PATIENT], out / "passes.png")
    draw_first_result(analysed[PATIENT], out / "first-look.png")
    draw_strips(analysed[HEALTHY], out / "strips.png")
    draw_profile(analysed, model, out / "profile.png")


if __name__ == "__main__":
    main()
