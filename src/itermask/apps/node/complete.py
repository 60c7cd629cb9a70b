"""When a series, or a study, is complete: rules without clock, disk or network.

Nothing in DICOM says that a series has ended. What speaks for it: silence; the sender's end of the connection, after
which fewer seconds of silence do; and headers that announce how many images there are. What speaks against it: a
connection that was cut, and announced images that have not come. The rule may err, since an image that comes after all
opens its series again.
"""

from collections.abc import Collection
from dataclasses import dataclass

from itermask.apps.node.config import Complete

# How what brings a series stands: its connection is open; was ended properly; was cut; was ended by the node's own end;
# is open, but silent for so long that the series was closed; has also brought an image that could not be taken.
COMING, WHOLE, CUT, INTERRUPTED, QUIET, SPOILED = "coming", "whole", "cut", "interrupted", "quiet", "spoiled"
WHY = {
    CUT: "The connection was cut while the series was sent",
    INTERRUPTED: "The node was started anew while the series was sent",
    QUIET: "Nothing more came for a while, though its sender had not said that this was all",
    SPOILED: "The same connection brought an image that could not be taken",
}


@dataclass(frozen=True)
class Arrival:
    """What is known of a series that is being received.

    Attributes:
        images: received so far.
        announced: that headers speak of; None if they do not.
        exact: whether that number is of the series (NumberOfSeriesRelatedInstances), not of an acquisition, which may
            have several series.
        sending: whether a connection that brought some of it is open.
        transfer: `COMING`, `WHOLE`, `CUT`, `INTERRUPTED`, `QUIET` or `SPOILED`.
    """

    images: int
    announced: int | None = None
    exact: bool = False
    sending: bool = False
    transfer: str = COMING


def waiting_time(arrival: Arrival, rules: Complete) -> float:
    """Return the seconds of silence after which a series counts as complete.

    Args:
        arrival: what is known.
        rules: the times to wait.

    Returns:
        seconds after the last image, or after the connection's end if that came later; 0 if surely nothing is missing.

    Example:
        >>> from itermask.apps.node.config import Complete
        >>> waiting_time(Arrival(192, transfer=WHOLE), Complete())
        3.0
    """
    announced = arrival.announced
    enough = announced is not None and arrival.images >= announced
    if enough:
        return 0.0 if arrival.exact and not arrival.sending else rules.released
    if announced is not None:
        return rules.patience
    if arrival.sending:
        return rules.quiet
    return rules.released if arrival.transfer == WHOLE else rules.patience


IN_PROGRESS = "IN PROGRESS"  # state of a step of an examination, see `itermask.apps.node.steps`
LONGER = 6  # times as long as otherwise the end of an examination is waited for that the scanner says goes on


def study_waiting_time(states: Collection[str], missing: int, rules: Complete) -> float:
    """Return the seconds of silence after which a study has ended, all series of which are complete and processed.

    Args:
        states: what the scanner says of its steps (MPPS); none if it says nothing.
        missing: series that it says it has made, and that have not come.
        rules: the times to wait.

    Returns:
        seconds after the last image, or after what the scanner said last if that came later.

    Example:
        >>> from itermask.apps.node.config import Complete
        >>> study_waiting_time((), 0, Complete())
        600.0
    """
    if IN_PROGRESS in states:
        return LONGER * rules.study
    return rules.study if missing or not states else rules.released


def shortfall(arrival: Arrival, refused: int = 0, why: str = "") -> str:
    """Return why a series must not be processed though nothing more comes; empty if it may.

    Args:
        arrival: what is known.
        refused: images that were not taken, or are no longer here.
        why: they are not.

    Example:
        >>> bool(shortfall(Arrival(190, announced=192, exact=True, transfer=WHOLE)))
        True
    """
    images = _images(arrival.images)
    if refused:
        return (
            f"{images} came, {refused} more {'is' if refused == 1 else 'are'} not here ({why}); send the series again"
        )
    if arrival.announced is not None and arrival.exact and arrival.images < arrival.announced:
        return f"{arrival.images} of {_images(arrival.announced)} came; send the series again"
    return ""


def is_doubtful(arrival: Arrival) -> bool:
    """Return whether nobody can say if all of a series came: no connection has ended properly, and no header tells.

    Example:
        >>> is_doubtful(Arrival(192, transfer=WHOLE)), is_doubtful(Arrival(192, transfer=CUT))
        (False, True)
    """
    enough = arrival.announced is not None and arrival.images >= arrival.announced
    return not enough and (arrival.sending or arrival.transfer != WHOLE)


def doubts(arrival: Arrival) -> tuple[str, ...]:
    """Return what a reader must know of how a series came that is processed all the same, as sentences.

    Example:
        >>> doubts(Arrival(192, transfer=WHOLE))
        ()
    """
    came, sentences = f"{_images(arrival.images)} came", []
    if arrival.announced is not None and arrival.images < arrival.announced:
        sentences.append(f"The headers announce {_images(arrival.announced)} in the acquisition; {came}.")
    if is_doubtful(arrival):
        why = WHY[QUIET] if arrival.sending else WHY.get(arrival.transfer, WHY[CUT])
        sentences.append(f"{why}, so it may be incomplete; {came}.")
    return tuple(sentences)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
