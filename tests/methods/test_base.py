"""The interface of a method: what one step returns is what the next takes."""

from inspect import signature
from typing import get_args, get_origin

import pytest

from itermask.methods import METHODS, Method, build_method


def state_of(kind):
    """The class that stands in the brackets of `Method[…]`."""
    for parent in kind.__mro__:
        for base in getattr(parent, "__orig_bases__", ()):
            if get_origin(base) is Method:
                return get_args(base)[0]
    return None


@pytest.mark.parametrize("name", METHODS)
def test_explore_returns_the_state_that_finalize_and_calibrate_take(name):
    kind = type(build_method(name))
    state = state_of(kind)
    assert isinstance(state, type)
    assert signature(kind.explore).return_annotation is state
    assert signature(kind.finalize).parameters["search"].annotation is state
    assert get_args(signature(kind.calibrate).parameters["searches"].annotation) == (state,)
