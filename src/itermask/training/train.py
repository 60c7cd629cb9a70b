"""From a table of normal scans to a calibrated model folder."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from itermask.errors import InputError
from itermask.io.nifti import read_scan
from itermask.io.result_folder import check_writable, digest_of
from itermask.methods import Method, build_method
from itermask.models.card import CARD
from itermask.models.folder import WEIGHTS, find_model, load_model, read_card, save_card, save_model
from itermask.prepare.brain import with_brain
from itermask.prepare.grid import Grid, grid_from
from itermask.prepare.plausibility import ADULT_ML, Population
from itermask.results.quality import assess as assess_quality
from itermask.training.cache import cached_volume, has_brain, prepare_entry, read_volume
from itermask.training.calibration import HealthyScan, calibrate, calibration_metrics, check_subjects
from itermask.training.card import make_card
from itermask.training.config import TrainingConfig
from itermask.training.fit import check_networks
from itermask.training.loop import Trainer
from itermask.training.recentre import FEW, quality_shift, recentre
from itermask.training.self_test import Tried, as_card, self_test
from itermask.training.stopping import StopRequest
from itermask.training.table import Entry, Note, one_per_scan, read_data

Report = Callable[[str, float], None]
LEARNED = ("train", "val")  # splits


def train_model(
    data: Path,
    sequence: str,
    out: Path,
    config: TrainingConfig,
    device: str = "auto",
    about: dict[str, Any] | None = None,
    report: Report | None = None,
    target: str | None = None,
    note: Note | None = None,
    stop: StopRequest | None = None,
) -> Path:
    """Train on the `train` scans, calibrate on the `val` scans, write the model folder.

    An interrupted run is continued when called again with the same arguments.

    Args:
        data: table or folder, see `itermask.training.table`.
        sequence: what to train on.
        out: the model folder; it also keeps the checkpoint, logs and cache.
        config: settings.
        device: `auto`, `cpu`, `cuda` or `mps`.
        about: `name`, `source`, `license` of the data, for the card; `license` of the weights.
        report: called with (stage, share done).
        target: the second sequence, for methods that learn from pairs.
        note: told in one line each what was left out of the data.
        stop: asks to end after a step, see `itermask.training.stopping`.

    Returns:
        the model folder.

    Raises:
        InputError: the data, settings or an earlier checkpoint cannot be used.
        TrainingStopped: `stop` was wanted; the checkpoint is written.
    """
    report = report or (lambda stage, share: None)
    entries = read_checked(data, sequence, config, target, note)
    check_model_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    scans = sum(entry.split == "train" and (target is None or entry.target is not None) for entry in entries)
    config = config.for_scans(scans, int(os.environ.get("WORLD_SIZE", "1")))
    trainer = Trainer(config, config.grid(), out, device)
    check_networks(trainer.method, trainer.networks, trainer.grid)
    prepared = _prepare_all(entries, sequence, out / "cache", trainer, report)
    healthy = _healthy(data, prepared, trainer, note)
    paths = {
        split: [path for entry, path in healthy if entry.split == split and (entry.target or not target)]
        for split in LEARNED
    }
    trainer.method.fit(read_volume(path, trainer.grid) for path in paths["train"])
    trainer.resume()
    stop = stop or StopRequest()
    stop.gentle = True
    trainer.fit(
        paths["train"], paths["val"], lambda step, steps, loss: report(f"training, loss {loss:.3f}", step / steps), stop
    )
    stop.gentle = False
    trainer.leave()  # calibration takes longer than the other processes would wait
    if trainer.rank == 0:
        left_out = {entry for entry, _ in prepared} - {entry for entry, _ in healthy}
        kept = [entry for entry in entries if entry not in left_out]
        finish(trainer, kept, sequence, device, about or {}, report, target)
    return out


def read_checked(
    data: Path, sequence: str, config: TrainingConfig, target: str | None = None, note: Note | None = None
) -> list[Entry]:
    """Return the scans to train and validate on.

    Raises:
        InputError: sequences that the method does not take, data that cannot be used, too few validation subjects.
    """
    _check_sequences(config, sequence, target)
    entries = read_data(data, sequence, target=target, note=note)
    _check_subjects(data, entries)
    return entries


def _check_sequences(config: TrainingConfig, sequence: str, target: str | None) -> None:
    """Refuse a second sequence where the method takes none, none where it takes one, and the same twice."""
    try:
        method = build_method(config.method, config.method_settings)
    except ValueError as error:
        raise InputError(f"training settings: {error}") from error
    if method.sequences == 2 and target is None:
        raise InputError(f"the method {method.name} learns from pairs of scans; name the second sequence with --target")
    if method.sequences == 1 and target is not None:
        raise InputError(f"--target {target}: the method {method.name} learns from one sequence; leave it out")
    if target == sequence:
        raise InputError(f"--target {target}: is the sequence itself; name another")


def _check_subjects(data: Path, entries: list[Entry]) -> None:
    """Refuse data with too few subjects to calibrate on."""
    try:
        check_subjects(entry.subject for entry in entries if entry.split == "val")
    except ValueError as error:
        raise InputError(f"{data}: {error}") from error


def _prepare_all(
    entries: list[Entry], sequence: str, cache: Path, trainer: Trainer, report: Report
) -> list[tuple[Entry, Path]]:
    """Return the scans to train on and to validate with, and where they are; processes share the work."""
    wanted = [entry for entry in entries if entry.split in LEARNED]
    slices = by_slices(trainer.method, trainer.grid)
    for number, entry in list(enumerate(wanted))[trainer.rank :: trainer.world]:
        cached_volume(entry, sequence, trainer.grid, cache, slices)
        report("preparing scans", (number + 1) / len(wanted))
    trainer.wait()
    return [(entry, cached_volume(entry, sequence, trainer.grid, cache, slices)) for entry in wanted]


def by_slices(method: Method, grid: Grid) -> bool:
    """Return whether a method may learn from the healthy slices of a scan with a lesion.

    Example:
        >>> from itermask.methods import build_method
        >>> by_slices(build_method("itermask3d"), model.grid)
        False
    """
    return method.dims == 2 or grid.slices


def _healthy(
    data: Path, prepared: list[tuple[Entry, Path]], trainer: Trainer, note: Note | None
) -> list[tuple[Entry, Path]]:
    """Return the scans of which something healthy is left; an `InputError` where they are too few."""
    healthy = [(entry, path) for entry, path in prepared if has_brain(path)]
    count = len(prepared) - len(healthy)
    if not count:
        return healthy
    slices = by_slices(trainer.method, trainer.grid)
    why = "no healthy slice" if slices else f"a lesion, and {trainer.method.name} learns from whole volumes"
    if note is not None and trainer.rank == 0:
        note(f"{count} of {len(prepared)} scans are left out: they have {why}")
    if not any(entry.split == "train" for entry, _ in healthy):
        raise InputError(f"{data}: no scan is left to train on: all have {why}")
    _check_subjects(data, [entry for entry, _ in healthy])
    return healthy


def finish(
    trainer: Trainer,
    entries: list[Entry],
    sequence: str,
    device: str,
    about: dict[str, Any],
    report: Report,
    target: str | None = None,
) -> None:
    """Write the trained weights, calibrate with them as they are on disk, complete the card."""
    card = make_card(trainer, entries, sequence, about)
    save_model(trainer.out, trainer.average, card | ({"target": target} if target else {}))
    try:
        calibrate_folder(trainer.out, one_per_scan(entries, "val"), device, report)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{trainer.out}: {error}; the weights are there, but not calibrated") from error


def calibrate_folder(
    folder: Path, entries: list[Entry], device: str, report: Report, threads: int | None = None
) -> None:
    """Calibrate a model folder on healthy scans and complete its card.

    A model that is calibrated already is moved to these scans, see `itermask.training.recentre`.

    Raises:
        InputError: a scan cannot be used.
        ValueError: too few subjects, or masks that mark much of healthy brains; the card stays as it was.
    """
    model = load_model(folder, device=device, threads=threads)
    started = time.perf_counter()
    slices = by_slices(model.method, model.grid)
    prepared_scans = [(prepare_entry(entry, model.sequence, model.grid, slices), entry.subject) for entry in entries]
    scans = [HealthyScan(prepared, subject) for prepared, subject in prepared_scans if prepared.brain.any()]
    calibration = recentre(model, scans, report) if model.calibration else calibrate(model, scans, report)
    calibration["computed_with"] = model.runtime.description
    calibration["seconds"] = round(time.perf_counter() - started, 1)
    metrics = model.card["metrics"] | calibration_metrics(calibration)
    population = model.card.get("population") or population_of(scans)
    save_card(folder, model.card | {"population": population, "calibration": calibration, "metrics": metrics})


def population_of(scans: list[HealthyScan]) -> dict[str, Any]:
    """Return whose brains a model has learned, by the volume of its validation brains; see `Population`.

    Example:
        >>> import numpy as np
        >>> from itermask.prepare.prepare import prepare
        >>> from itermask.training.calibration import HealthyScan
        >>> list(population_of([HealthyScan(prepare(scan, model.grid), "sub-01")]))
        ['name']
    """
    volumes = [float(scan.prepared.brain.sum() * np.prod(scan.prepared.spacing)) / 1000 for scan in scans]
    low, high = ADULT_ML
    whole = all(scan.prepared.plane == "" for scan in scans)
    return {"name": "any" if whole and not low <= float(np.median(volumes)) <= high else "adult"}


def shift_quality(folder: Path, entries: list[Entry], device: str, threads: int | None) -> None:
    """Store in a model's card by how much the limits of image quality rise for the scanner of some healthy scans."""
    model = load_model(folder, device=device, threads=threads)
    if Population.of(model.card).name != "adult":
        return
    found = []
    for entry in entries:
        scan, _ = with_brain(read_scan(entry.path, model.sequence, entry.brain_mask))
        with suppress(ValueError):  # what cannot be measured takes no part
            found.append(assess_quality(scan))
    if found:
        shift = quality_shift([one.score for one in found], found[0].limits, len({entry.subject for entry in entries}))
        calibration = model.card["calibration"] | {"quality": {"shift": shift, "scans": len(found)}}
        save_card(folder, model.card | {"calibration": calibration})


def try_out(folder: Path, entries: list[Entry], device: str, report: Report, threads: int | None = None) -> list[Tried]:
    """Put artifacts and lesions on the scans that a model was calibrated on, and store in its card what is found."""
    model = load_model(folder, device=device, threads=threads)
    tried = self_test(model, [read_scan(one.path, model.sequence, one.brain_mask) for one in entries], report)
    calibration = model.card["calibration"] | {"self_test": as_card(tried)}
    save_card(folder, model.card | {"calibration": calibration})
    return tried


def calibrate_model(
    data: Path,
    name: str | Path,
    out: Path,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
    report: Report | None = None,
    method: str | None = None,
    align: bool = False,
    threads: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Calibrate a model anew: on other healthy scans (one's own scanner), or with other test-time settings.

    Args:
        data: table or folder of healthy scans. Every scan is used, but where splits are stated those of `val`.
        name: a model folder or a bundled model's name.
        out: the new model folder.
        settings: method settings to change; only those that training does not depend on.
        device: `auto`, `cpu`, `cuda` or `mps`.
        report: called with (stage, share done).
        method: use the networks with this method of the same family, see `Method.family`.
        align: work along MNI axes, now and whenever the new model is used, see `itermask.prepare.align`.
        threads: on the CPU; PyTorch's own number if None.
        tell: told on how many scans it is calibrated, what to mind, and what the self-test found; without it there is
            no self-test.

    Returns:
        the new model folder.

    Raises:
        InputError: the model or the data cannot be used, a setting belongs to training or is out of range, the
            method is of another family, `out` is the model, `align` is asked of a model for a scan's own slices, or
            its masks mark much of these healthy brains. Then no model is written.
    """
    source = find_model(name, None)
    card = _changed(read_card(source), method, settings or {}, source)
    if align:
        if grid_from(card).slices:
            raise InputError(f"{source}: takes a scan's own slices, which cannot be aligned; leave --align out")
        card = card | {"align": True}
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads}: at least 1 is needed")
    if source.resolve() == out.resolve():
        raise InputError(f"{out}: is the model itself; give another folder")
    check_model_folder(out, source / WEIGHTS)
    entries = read_data(data, card["sequence"], needed=(), whole=True)
    validation = [entry for entry in entries if entry.split == "val"] or entries
    subjects = len({entry.subject for entry in validation})
    if tell:
        tell(f"calibrating on {len(validation)} scans of {subjects} subjects")
        if subjects < FEW:
            tell(f"fewer than {FEW} subjects: the healthy range of your scanner stays uncertain; give more if you can")
    kept = card["calibration"] if not (settings or method or align) else {}
    told = report or (lambda stage, share: None)
    with _new_folder(out) as made:
        shutil.copyfile(source / WEIGHTS, made / WEIGHTS)
        save_card(made, card | {"calibration": kept})
        try:
            calibrate_folder(made, validation, device, told, threads)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{data}: {error}; no model was written") from error
        if kept:
            shift_quality(made, validation, device, threads)
        tried = try_out(made, validation, device, told, threads) if tell else []
    if tell:
        for one in tried:
            tell(one.sentence())
    return out


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Make a folder for a model, whose files come into `out` at the end; after a failure all is as it was."""
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
    try:
        yield partial
        for name in (WEIGHTS, CARD):
            os.replace(partial / name, out / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if new and not any(out.iterdir()):
            out.rmdir()


def check_model_folder(out: Path, weights: Path | None = None) -> None:
    """Refuse a folder for a model before any work is done.

    Args:
        out: the folder; may not exist yet.
        weights: of the model that is calibrated; other weights in `out` are another model's and stay.

    Raises:
        InputError: it cannot be a folder or cannot be written to, or holds files of a model's names that are not
            those of a model of this package, or other weights.

    Example:
        >>> check_model_folder(folder / "model")
    """
    check_writable(out)
    there = [out / name for name in (WEIGHTS, CARD) if (out / name).exists()]
    if there:
        try:
            read_card(out)
        except InputError as error:
            raise InputError(f"{there[0]}: was not written by itermask; choose another folder") from error
    if weights is not None and (out / WEIGHTS).exists() and digest_of(out / WEIGHTS) != digest_of(weights):
        raise InputError(f"{out}: holds another model, whose weights would be replaced; choose another folder")


def _changed(card: dict[str, Any], name: str | None, settings: dict[str, Any], source: Path) -> dict[str, Any]:
    """Return a card with another method of the same family, and other test-time settings.

    The other method keeps the card's settings but for those by which it differs from the card's method.
    """
    kept = card["method_settings"]
    used = _built(source, card["method"], kept)
    if name is not None and name != used.name:
        other, usual = _built(source, name), _built(source, used.name).settings()
        if other.family is None or other.family != used.family:
            raise InputError(
                f"{source}: a model trained with {used.name} cannot be used with {name}, which trains otherwise; "
                f"train one with --method {name}"
            )
        kept = kept | {key: value for key, value in other.settings().items() if usual.get(key) != value}
        used = other
    fixed = sorted(set(settings) - used.test_time)
    if fixed:
        raise InputError(f"{', '.join(fixed)}: not a test-time setting of {used.name}; train a model with it")
    return card | {"method": used.name, "method_settings": _built(source, used.name, kept | settings).settings()}


def _built(source: Path, name: str, settings: dict[str, Any] | None = None) -> Method:
    """Return a method for the model folder `source`; an `InputError` where there is none of the name or settings."""
    try:
        return build_method(name, settings)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
