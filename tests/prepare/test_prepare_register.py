"""The coarse registration: known places come out at their MNI millimetres, whatever way a head is stored or lies."""

import numpy as np
import pytest
from tiny_model import oblique, stored_as
from tiny_template import FLAIR, T1W, T2W, template_scan

from itermask.prepare.atlas import part_name, part_of, template
from itermask.prepare.register import register, rotation_of
from itermask.prepare.small_copy import small_copy

PSR = np.array([[1, -1], [2, 1], [0, 1]])
LPS = np.array([[0, -1], [1, -1], [2, 1]])


def registered(scan):
    return register(small_copy(scan.image, scan.brain_mask, scan.affine))


def moved(found, scan_place):
    return (found.to_mni @ [*scan_place, 1])[:3]


@pytest.mark.parametrize("bright", [T1W, T2W, FLAIR], ids=["T1w", "T2w", "FLAIR"])
def test_any_contrast_is_registered_and_its_brightness_found(bright):
    found = registered(template_scan(bright))
    order = np.argsort(found.tissues), np.argsort(bright)
    if min(np.diff(sorted(bright))) > 0.1:
        assert np.array_equal(*order)
    assert found.overlap > 0.97
    for place in ([-40.0, 20.0, 10.0], [30.0, -60.0, 40.0], [0.0, -30.0, -30.0]):
        np.testing.assert_allclose(moved(found, template().usual_size * np.array(place)), place, atol=3)


@pytest.mark.parametrize("orientation", [PSR, LPS], ids=["PSR-like", "LPS"])
def test_the_way_a_scan_is_stored_changes_nothing(orientation):
    scan = template_scan()
    one, other = registered(scan), registered(stored_as(scan, orientation))
    np.testing.assert_allclose(one.to_mni, other.to_mni, atol=0.1)


def test_a_tilted_shifted_head_is_brought_back():
    scan = template_scan()
    away = oblique(np.eye(4))
    away[:3, 3] = (31.0, -12.0, 55.0)
    tilted = template_scan(affine=away @ scan.affine)
    found = registered(tilted)
    assert 15 < found.turned < 35
    place = away @ [*(template().usual_size * np.array([-40.0, 20.0, 10.0])), 1]
    np.testing.assert_allclose(moved(found, place[:3]), [-40, 20, 10], atol=3)


def test_the_same_brain_gives_the_same_transform():
    scan = template_scan()
    assert np.array_equal(registered(scan).to_mni, registered(scan).to_mni)


def test_a_constant_or_broken_brain_is_refused():
    scan = template_scan()
    with pytest.raises(ValueError, match="constant"):
        small_copy(np.ones_like(scan.image), scan.brain_mask, scan.affine)
    with pytest.raises(ValueError, match="NaN"):
        small_copy(np.full_like(scan.image, np.nan), scan.brain_mask, scan.affine)


def test_rotation_of_a_stretched_turn():
    turn = oblique(np.eye(4))[:3, :3]
    np.testing.assert_allclose(rotation_of(turn @ np.diag([0.9, 0.9, 0.9])), turn, atol=1e-9)


def test_the_template_has_its_sides_and_small_size():
    found = template()
    assert found.brain.nbytes + found.regions.nbytes < 3_000_000
    np.testing.assert_allclose(found.brain, found.brain[::-1], atol=0.01)
    for number, name in enumerate(found.names):
        places = np.argwhere(found.regions == number) @ found.regions_affine[:3, :3].T + found.regions_affine[:3, 3]
        if name.startswith(("left ", "right ")):
            assert (places[:, 0].mean() < 0) == name.startswith("left "), name
    assert part_name(np.array([0.0, 0.0, 300.0])) == ""
    assert part_of(np.array([[0.0, 0.0, 300.0]])).tolist() == [0]


def test_a_region_across_the_middle_lies_on_both_sides():
    places = np.array([[x, 30.0, 22.0] for x in (-28, -27, 27, 28)])
    assert part_name(places) == "frontal white matter of both sides"
    assert part_name(places[:2]) == "left frontal white matter"
