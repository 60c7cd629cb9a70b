"""When a series is complete: a rule without clock, disk or network.

Nothing in DICOM says that a series has ended. What speaks for it: silence; the sender's end of the connection, after
which fewer seconds of silence do; and headers that announce how many images there are. What speaks against it: a
connection that was cut, and announced images that have not come. The rule may err, since an image that comes after all
opens its series again.
"""

from dataclasses import dataclass

from itermask.node.config import Complete

# How the last connection that brought some of a series stands: open; ended properly; cut; ended by the node's own end.
COMING, WHOLE, CUT, INTERRUPTED = "coming", "whole", "cut", "interrupted"


@dataclass(frozen=True)
class Arrival:
    """What is known of a series that is being received.

    Attributes:
        images: received so far.
        announced: that headers speak of; None if they do not.
        exact: whether that number is of the series (NumberOfSeriesRelatedInstances), not of an acquisition, which may
            have several series.
        sending: whether a connection that brought some of it is open.
        transfer: `COMING`, `WHOLE`, `CUT` or `INTERRUPTED`.
    """

    images: int
    announced: int | None = None
    exact: bool = False
    sending: bool = False
    transfer: str = COMING


def waiting_time(arrival: Arrival, rules: Complete) -> float:
    """Seconds of silence after which a series counts as complete.

    Args:
        arrival: what is known.
        rules: the times to wait.

    Returns:
        seconds after the last image, or after the connection's end if that came later; 0 if surely nothing is missing.
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


def shortfall(arrival: Arrival, refused: int = 0, why: str = "") -> str:
    """Why a series must not be looked at though nothing more comes; empty if it may.

    Args:
        arrival: what is known.
        refused: images that were not taken.
        why: they were not.
    """
    images = _images(arrival.images)
    if refused:
        return f"{images} came, {refused} more were refused ({why}); send the series again"
    if arrival.announced is not None and arrival.exact and arrival.images < arrival.announced:
        return f"{arrival.images} of {_images(arrival.announced)} came; send the series again"
    return ""


def is_doubtful(arrival: Arrival) -> bool:
    """Whether nobody can say if all of a series came: its last connection was cut, and no header tells."""
    enough = arrival.announced is not None and arrival.images >= arrival.announced
    return not (enough or arrival.sending or arrival.transfer == WHOLE)


def doubts(arrival: Arrival) -> tuple[str, ...]:
    """What a reader must know of how a series came that is looked at all the same, as sentences."""
    came, sentences = f"{_images(arrival.images)} came", []
    if arrival.announced is not None and arrival.images < arrival.announced:
        sentences.append(f"The headers announce {_images(arrival.announced)} in the acquisition; {came}.")
    if is_doubtful(arrival):
        what = "The node was started anew" if arrival.transfer == INTERRUPTED else "The connection was cut"
        sentences.append(f"{what} while the series was sent, so it may be incomplete; {came}.")
    return tuple(sentences)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
