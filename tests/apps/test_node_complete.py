"""When a series is complete: more evidence never makes for a longer wait."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from itermask.apps.node.complete import (
    COMING,
    CUT,
    INTERRUPTED,
    QUIET,
    SPOILED,
    WHOLE,
    Arrival,
    doubts,
    is_doubtful,
    shortfall,
    waiting_time,
)
from itermask.apps.node.config import Complete

RULES = Complete(quiet=10.0, released=3.0, patience=60.0)
ARRIVALS = st.builds(
    Arrival,
    images=st.integers(1, 20),
    announced=st.none() | st.integers(1, 20),
    exact=st.booleans(),
    sending=st.booleans(),
    transfer=st.sampled_from([COMING, WHOLE, CUT, INTERRUPTED, QUIET, SPOILED]),
)


@given(ARRIVALS)
def test_a_wait_always_ends(arrival):
    assert 0 <= waiting_time(arrival, RULES) <= RULES.patience


@given(ARRIVALS)
def test_a_proper_end_never_lengthens_the_wait(arrival):
    ended = replace(arrival, sending=False, transfer=WHOLE)
    assert waiting_time(ended, RULES) <= waiting_time(arrival, RULES)


@given(ARRIVALS, st.integers(1, 20))
def test_one_more_image_never_lengthens_the_wait(arrival, more):
    assert waiting_time(replace(arrival, images=arrival.images + more), RULES) <= waiting_time(arrival, RULES)


def test_the_waits_by_name():
    silent = Arrival(5)
    assert waiting_time(replace(silent, sending=True), RULES) == RULES.quiet
    assert waiting_time(replace(silent, transfer=WHOLE), RULES) == RULES.released
    assert waiting_time(silent, RULES) == RULES.patience, "the connection was cut"
    announced = Arrival(5, announced=6, transfer=WHOLE)
    assert waiting_time(announced, RULES) == RULES.patience
    assert waiting_time(replace(announced, images=6), RULES) == RULES.released
    assert waiting_time(replace(announced, images=6, exact=True), RULES) == 0
    assert waiting_time(replace(announced, images=6, exact=True, sending=True), RULES) == RULES.released


@given(ARRIVALS)
def test_what_is_missing_is_never_passed_over(arrival):
    short = arrival.announced is not None and arrival.images < arrival.announced
    assert bool(shortfall(arrival, 1, "no room"))
    if short or is_doubtful(arrival):
        assert shortfall(arrival) or doubts(arrival)
    if short and arrival.exact:
        assert shortfall(arrival) == f"{arrival.images} of {_images(arrival.announced)} came; send the series again"
    if not short:
        assert shortfall(arrival) == ""
    if not short and not arrival.sending and arrival.transfer == WHOLE:
        assert doubts(arrival) == ()
    if arrival.sending and arrival.announced is None:
        assert "may be incomplete" in doubts(arrival)[0], "silence alone is no end"


def _images(count):
    return "1 image" if count == 1 else f"{count} images"


def test_the_reasons_in_words():
    for transfer in (COMING, CUT):
        assert doubts(Arrival(1, transfer=transfer)) == (
            "The connection was cut while the series was sent, so it may be incomplete; 1 image came.",
        )
    assert shortfall(Arrival(5, transfer=WHOLE), 2, "no room") == (
        "5 images came, 2 more are not here (no room); send the series again"
    )
    assert doubts(Arrival(5, announced=6, transfer=WHOLE)) == (
        "The headers announce 6 images in the acquisition; 5 images came.",
    )
    for quiet in (Arrival(5, sending=True), Arrival(5, transfer=QUIET)):
        assert doubts(quiet) == (
            "Nothing more came for a while, though its sender had not said that this was all, so it may be incomplete; "
            "5 images came.",
        )
    assert doubts(Arrival(5, transfer=SPOILED)) == (
        "The same connection brought an image that could not be taken, so it may be incomplete; 5 images came.",
    )
    assert doubts(Arrival(5, transfer=INTERRUPTED)) == (
        "The node was started anew while the series was sent, so it may be incomplete; 5 images came.",
    )
