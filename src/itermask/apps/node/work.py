"""One analysis of a received series: from its files to results, the same way as `itermask run`."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itermask.apps.node.config import Look
from itermask.apps.node.database import sync_tree
from itermask.apps.node.process import Tell
from itermask.apps.node.rules import Facts, Rule, decide, facts_of_scan, said_sequence
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.io.dicom.series import Found
    from itermask.io.scans import Source
    from itermask.models.folder import Model
    from itermask.types import Finding, Scan

SAMPLE = Path(__file__).parents[2] / "demo_data" / "healthy_T1w.nii.gz"
ASIDE = ("a localiser", "a projection, not slices", "colour or inverted images")  # problems that nobody minds

_loaded: dict[str, "Model"] = {}


@dataclass(frozen=True)
class Task:
    """What to process.

    Attributes:
        source: folder of one series' images, or a NIfTI file.
        out: folder for the results; it does not exist yet.
        name: what reports call the scan.
        notes: sentences that a reader must know of how it came.
        look: how.
        rules: of the node's file; a series that they leave out is not processed.
    """

    source: Path
    out: Path
    name: str
    notes: tuple[str, ...]
    look: Look
    rules: tuple[Rule, ...] = ()


def check_processing(look: Look) -> None:
    """Refuse models that are not there, before anything is received.

    Raises:
        InputError: no such model folder or bundled model.
    """
    from itermask.models.choice import find

    for name in look.models.values():
        find(name)


def warm_up(look: Look) -> None:
    """Make the first series as fast as later ones: load the models that are named, or the one for T1w, and use it once.

    The bundled scan of a healthy person is processed, which also loads the brain extractor and what else it needs.
    """
    from itermask.errors import MissingExtraError
    from itermask.io.nifti import read_scan
    from itermask.models.choice import bundled_models
    from itermask.pipeline import analyze

    scan = read_scan(SAMPLE)
    for name in dict.fromkeys(look.models.values()) or list(bundled_models())[:1]:
        model = _model(name, look)
        with suppress(InputError, MissingExtraError):  # a model of other sequences
            analyze(scan, model)


def process_series(task: Task, tell: Tell) -> dict[str, Any]:
    """Process a series and write everything: `write_finding`, and `write_dicom` where it is DICOM.

    Args:
        task: what and how.
        tell: called with `stage` and `share` on the way, and with the verdict as soon as it is known, before anything
            is written.

    Returns:
        `reason` and `alert`, if it cannot be processed; else `verdict` and what else the page shows, see `figures`.
    """
    from itermask.apps.node.explain import turned_away
    from itermask.io.dicom.write import check_dicom, write_dicom
    from itermask.io.outputs import write_finding
    from itermask.io.scans import read_scans
    from itermask.models.suits import check_sequence, known_sequence
    from itermask.pipeline import RunSettings, analyze

    look, clock, began = task.look, _Clock(), time.process_time()
    try:
        tell({"stage": "reading", "share": 0.0})
        found = _found(task)
        if found is not None and (away := turned_away(found, task.rules, look)):
            return {"reason": away, "alert": False}
        (source,) = read_scans(task.source, found=found)
        scan = _named(source, task)
        if source.series is None and not (said := decide(task.rules, _facts(scan, task))).process:
            return {"reason": f"{said.why} says that it is not processed", "alert": False}
        clock.took("read")
        sequence = known_sequence(scan)
        model = _choose(sequence, scan, look)
        check_sequence(scan, model.name, model.card)
        clock.took("choose model")
        settings = RunSettings(look.gamma or None, look.sensitivity or None, look.seed, look.n4, look.align)
        tell({"stage": "preparing", "share": 0.0})
        finding = analyze(scan, model, settings, lambda stage, share: tell({"stage": stage, "share": share}))
        notes = list(task.notes)
        if source.series is not None:
            try:
                check_dicom(source.series, task.out)
            except InputError as error:
                notes.append(f"There are no DICOM results: {_plain(str(error), task)}.")
        finding = replace(finding, warnings=(*notes, *finding.warnings))
        clock.took("look")
        clock.seconds["processor"] = round(time.process_time() - began, 3)  # of all threads, whatever else runs
        shown = figures(finding) | {"seconds": clock.seconds | finding.timings}
        tell({"verdict": shown, "stage": "writing", "share": 1.0})
        write_finding(scan, finding, task.out)
        if source.series is not None and len(notes) == len(task.notes):
            write_dicom(scan, source.series, finding, task.out, summary=False)
        sync_tree(task.out)
        clock.took("write")
    except InputError as error:
        return _why(task, error)
    except MemoryError:
        return {"reason": "not enough memory for this scan", "alert": True}
    return shown | {"seconds": clock.seconds | finding.timings}


def figures(finding: "Finding") -> dict[str, Any]:
    """Return what the page shows of a finding, as JSON holds it.

    Example:
        >>> figures(finding)["sequence"]
        'T1w'
    """
    from itermask.io.outputs import plain

    return dict(
        plain(
            {
                "verdict": finding.verdict,
                "headline": finding.headline,
                "score": finding.score,
                "percentile": finding.percentile,
                "anomaly_fraction": finding.anomaly_fraction,
                "notes": finding.warnings,
                "sequence": finding.settings.get("sequence"),
                "model": finding.settings.get("model"),
            }
        )
    )


def _named(source: "Source", task: Task) -> "Scan":
    """Return the scan under the series' name, with the sequence that the configuration says."""
    words = source.series.description.lower() if source.series is not None else task.source.name.lower()
    said = said_sequence(words, task.look.sequences)
    return replace(source.scan, name=task.name, sequence=said or source.scan.sequence)


def _found(task: Task) -> "Found | None":
    """Return the series that rules judge by headers alone; None where there are no rules or it is NIfTI."""
    from itermask.io.dicom.series import find_series

    return find_series(task.source) if task.rules and task.source.is_dir() else None


def _facts(scan: "Scan", task: Task) -> Facts:
    """Return what rules ask of a NIfTI file."""
    return facts_of_scan(scan, task.source.name, task.look.sequences)


def _choose(sequence: str, scan: "Scan", look: Look) -> "Model":
    """Return the model of the configuration for a sequence, or the bundled one."""
    from itermask.models.choice import find

    choice = find(look.models.get(sequence), sequence, scan)
    return replace(_model(str(choice.folder), look), why=choice.why)


def _model(name: str, look: Look) -> "Model":
    """Return a model, loaded once."""
    from itermask.models.choice import find
    from itermask.models.folder import load_model

    folder = str(find(name).folder)
    if folder not in _loaded:
        _loaded[folder] = load_model(folder, device=look.device, threads=look.threads or None)
    return _loaded[folder]


def _why(task: Task, error: InputError) -> dict[str, Any]:
    """Return why a series cannot be processed, for people who know of no options; and whether somebody should mind."""
    from itermask.io.dicom.series import find_series
    from itermask.models.card import read_card
    from itermask.models.choice import bundled_models, taken_sequences

    words = _plain(str(error), task)
    known = {name for folder in bundled_models().values() for name in taken_sequences(read_card(folder))} | set(
        task.look.models
    )
    if words.startswith("no bundled model for sequence "):
        return {"reason": f"{words.partition(';')[0]}; models here know {', '.join(sorted(known))}", "alert": False}
    if not task.source.is_dir():
        return {"reason": words, "alert": True}
    try:
        found = find_series(task.source)
    except InputError:
        return {"reason": words, "alert": True}
    good = [each for each in found.series if not each.problem]
    meant = any(each.guess.sequence in known and not _is_aside(each.problem) for each in found.series)
    if len(good) > 1:
        parts = "; ".join(each.part or each.title for each in good)
        words = f"holds {len(good)} volumes ({parts}), where one is expected"
    elif found.series and not good:
        words = "; ".join(dict.fromkeys(each.problem for each in found.series))
    elif good and words.startswith("the sequence is unknown"):
        words = f"its sequence cannot be told ({good[0].guess.evidence})"
    return {"reason": words, "alert": meant}


def _is_aside(problem: str) -> bool:
    """Return whether a series cannot be used because it was never meant to be."""
    return problem in ASIDE or problem.endswith("not magnitude") or problem.startswith("not a head")


def _plain(words: str, task: Task) -> str:
    """Return a refusal without the folder's name and without advice that is of no use here."""
    for name in (str(task.source), str(task.out), task.name):
        words = words.replace(f"{name}: ", "").replace(name, "it")
    return " ".join(words.split()).partition("; leave them out with --no-dicom")[0]


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def took(self, stage: str) -> None:
        """Note that a stage has ended."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now
