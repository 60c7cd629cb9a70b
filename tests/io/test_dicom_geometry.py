"""Slices to a volume: any pose is found again, and what is no volume is refused with the reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import affine_of, oblique

from itermask.io.dicom.geometry import FLIP, stack_slices

ANGLE = st.floats(-180, 180)
EDGE = st.floats(0.3, 8)
PLACE = st.floats(-300, 300)


def parts(affine, count):
    """Positions, orientation and pixel sizes (LPS) of the slices of an affine."""
    axes = FLIP @ affine[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    positions = [FLIP @ (affine @ [0, 0, index, 1])[:3] for index in range(count)]
    return np.array(positions), (axes[:, :2] / sizes[:2]).T.ravel(), sizes[[1, 0]]


@given(
    angles=st.tuples(ANGLE, ANGLE, ANGLE),
    spacing=st.tuples(EDGE, EDGE, EDGE),
    origin=st.tuples(PLACE, PLACE, PLACE),
    count=st.integers(2, 9),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_pose_is_found_again_from_slices_in_any_order(angles, spacing, origin, count, shuffle):
    affine = oblique(affine_of(spacing, origin), angles)
    positions, orientation, pixel = parts(affine, count)
    order = list(range(count))
    shuffle.shuffle(order)
    stack = stack_slices(positions[order], orientation, pixel)
    assert np.allclose(stack.affine, affine, atol=1e-9)
    assert [order[index] for index in stack.order] == list(range(count))


@given(count=st.integers(2, 6))
def test_slices_stored_against_their_normal_are_turned_round(count):
    affine = oblique(affine_of((1.0, 2.0, -3.0)))
    stack = stack_slices(*parts(affine, count))
    assert stack.order == tuple(reversed(range(count)))
    last = affine @ [0, 0, count - 1, 1]
    assert np.allclose(stack.affine[:, 3], last)
    assert np.allclose(stack.affine[:, 2], -affine[:, 2])
    assert np.linalg.det(stack.affine[:3, :3]) > 0


@pytest.mark.parametrize(("thickness", "distance"), [(0.0, 1.0), (4.5, 4.5)])
def test_a_single_slice_is_as_thick_as_stated(thickness, distance):
    positions, orientation, pixel = parts(affine_of((1.0, 2.0, 3.0)), 1)
    stack = stack_slices(positions, orientation, pixel, thickness)
    assert np.linalg.norm(stack.affine[:3, 2]) == pytest.approx(distance)


def moved(index, by, axis=2):
    def move(positions):
        positions[index, axis] += by
        return positions

    return move


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: np.delete(p, 3, 0), r"1 slice is missing among 8 \(after slice 3,"),
        (lambda p: np.delete(p, [2, 3, 6], 0), r"3 slices are missing among 6 \(after slice 2, 4,"),
        (moved(4, 0.5), "unevenly spaced, 2.5 to 3.5 mm"),
        (moved(0, -1.0), "unevenly spaced"),
        (lambda p: np.concatenate([p, p]), "2 images at each of 9 positions"),
        (lambda p: np.concatenate([p, p[:2]]), "2 of its 9 slice positions hold more than one image"),
        (lambda p: p + np.outer(np.arange(9), [0.5, 0, 0]), "shifted against each other"),
        (moved(4, 5.0, 0), "shifted against each other"),
        (lambda p: p * np.nan, "no proper orientation"),
    ],
)
def test_what_is_no_volume_is_refused(change, says):
    positions, orientation, pixel = parts(affine_of((1.0, 2.0, 3.0)), 9)
    assert stack_slices(positions.copy(), orientation, pixel).order == tuple(range(9))
    with pytest.raises(ValueError, match=says):
        stack_slices(change(positions), orientation, pixel)


@given(noise=st.lists(st.floats(-0.005, 0.005), min_size=9, max_size=9))
def test_rounded_positions_are_even_enough(noise):
    affine = affine_of((1.0, 2.0, 3.0))
    positions, orientation, pixel = parts(affine, 9)
    positions[:, 2] += noise
    assert np.allclose(stack_slices(positions, orientation, pixel).affine, affine, atol=0.01)


@pytest.mark.parametrize(
    ("orientation", "pixel", "says"),
    [
        ((1, 0, 0, 0.6, 0.8, 0), (1, 1), "not perpendicular"),
        ((1, 0, 0, 0, 0, 0), (1, 1), "no proper orientation"),
        ((2, 0, 0, 0, 1, 0), (1, 1), "no proper orientation"),
        ((1, 0, 0, 0, 1, 0), (1, 0), "no size"),
        ((1, 0, 0, 0, 1, 0), (-1, 1), "no size"),
    ],
)
def test_axes_that_are_none_are_refused(orientation, pixel, says):
    with pytest.raises(ValueError, match=says):
        stack_slices([(0, 0, 0), (0, 0, 1)], orientation, pixel)
