"""A dry run: which series of a folder a node would process, by which rule, and why; nothing is computed or kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itermask.apps.node.config import NodeConfig
from itermask.apps.node.rules import Rule, decide, facts_of
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.apps.node.config import Look
    from itermask.io.dicom.series import Found, Series

OWN = "the node itself"  # what decides where no rule does


@dataclass(frozen=True)
class Explained:
    """What would happen to a series.

    Attributes:
        label: its number, with a letter where several share it.
        description: as typed at the scanner.
        study: what its study is called.
        process: whether it would be processed.
        by: the rule that decides, `no rule fits`, or `the node itself`.
        why: for readers.
    """

    label: str
    description: str
    study: str
    process: bool
    by: str
    why: str


def explain(folder: Path | str, config: NodeConfig) -> list[Explained]:
    """Return what a node would do with each series of a folder, in the order of their numbers.

    Args:
        folder: of DICOM images, with all below it; or a zip.
        config: of the node.

    Raises:
        InputError: it cannot be read, or holds no MR series.
    """
    from itermask.io.dicom.series import Found, find_series

    found = find_series(folder)
    if not found.series:
        raise InputError(f"{folder}: holds no MR series; give the folder of a study as DICOM")
    groups: dict[str, list[Series]] = {}
    for each in found.series:
        groups.setdefault(each.uid, []).append(each)
    return [_explained(Found(tuple(group), ()), config) for group in groups.values()]


def turned_away(found: "Found", rules: Sequence[Rule], look: "Look") -> str:
    """Return why the rules keep the series of one UID from being processed; empty where they do not."""
    for each in found.series:
        decision = decide(rules, facts_of(each, look.sequences))
        if not decision.process:
            return f"{decision.why} says that it is not processed"
    return ""


def _explained(found: "Found", config: NodeConfig) -> Explained:
    """Return what would happen to the volumes of one series."""
    from itermask.results.whose import study_code

    first = found.series[0]
    about = (first.label, first.description, study_code(first.source.accession_number, first.study))
    decision = decide(config.rules, facts_of(first, config.look.sequences))
    if away := turned_away(found, config.rules, config.look):
        rule, _, why = away.partition(" says ")
        return Explained(*about, False, rule, f"the rule says {why}")
    by = decision.why
    problems = list(_problems(found, config))
    if problems:
        return Explained(*about, False, OWN, problems[0])
    return Explained(*about, True, by, _how(found, config))


def _problems(found: "Found", config: NodeConfig) -> Iterator[str]:
    """Yield why a series that the rules allow cannot be processed, as far as its headers tell."""
    good = [each for each in found.series if not each.problem]
    volumes = [each for each in good if not each.derived] or good
    if not volumes:
        yield "; ".join(dict.fromkeys(each.problem for each in found.series))
    elif len(volumes) > 1:
        parts = "; ".join(each.part or each.title for each in volumes)
        yield f"holds {len(volumes)} volumes ({parts}), where one is expected"
    elif not facts_of(volumes[0], config.look.sequences).sequence:
        yield f"its sequence cannot be told ({volumes[0].guess.evidence}); say it under [look.sequences]"
    else:
        try:
            _how(found, config)
        except InputError as error:
            yield str(error).partition("; give one")[0] + "; name one under [look.models]"


def _how(found: "Found", config: NodeConfig) -> str:
    """Return with which model a series would be processed."""
    from itermask.models.card import read_card
    from itermask.models.choice import choose_model, find, taken_sequences

    good = [each for each in found.series if not each.problem]
    (volume,) = [each for each in good if not each.derived] or good
    sequence = facts_of(volume, config.look.sequences).sequence
    named = config.look.models.get(sequence)
    choice = choose_model(sequence, volume.spacing, volume.shape) if named is None else find(named)
    card = read_card(choice.folder)
    if sequence not in taken_sequences(card):
        raise InputError(f"is {sequence}, but the model {choice.folder.name} takes {', '.join(taken_sequences(card))}")
    return f"{sequence}, with the model {choice.folder.name}"
