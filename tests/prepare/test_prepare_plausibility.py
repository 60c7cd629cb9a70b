"""Can this be judged: whole brains pass without a word; wrong ones are refused, not judged or noted; gaps are found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from tiny_template import FLAIR, T1W, T2W, scan_voxel, template_scan

from itermask.errors import InputError
from itermask.prepare.plausibility import Population, assess
from itermask.types import Source


def voxel_ml(scan):
    return abs(np.linalg.det(scan.affine[:3, :3])) / 1000


def test_a_whole_adult_brain_is_judged_without_a_word():
    found = assess(template_scan())
    assert found.judged
    assert found.notes == ()
    assert found.missing is None
    assert found.numbers["missing_ml"] == 0
    assert 1100 < found.numbers["brain_ml"] < 1700


@pytest.mark.parametrize(
    ("bright", "sequence", "suits"),
    [
        (T1W, "T1w", True),
        (T2W, "T2w", True),
        (FLAIR, "FLAIR", True),
        (T2W, "PDw", True),
        (T2W, "T1w", False),
        (FLAIR, "T1w", False),
        (T1W, "T2w", False),
        (T1W, "FLAIR", False),
        (T2W, "FLAIR", False),
        ((0.5, 0.5, 0.5), "T1w", False),
    ],
)
def test_the_contrast_must_suit_the_sequence(bright, sequence, suits):
    found = assess(template_scan(bright, sequence=sequence, noise=0.03))
    assert found.judged == suits
    assert suits or sequence in found.reasons[0] or "T1w" in found.reasons[0]


@pytest.mark.parametrize(("size", "says"), [(0.45, "not an adult's"), (1.25, "not an adult's")])
def test_a_brain_far_from_an_adults_size_is_refused(size, says):
    with pytest.raises(InputError, match=f"^made_T1w: .*{says}"):
        assess(template_scan(size=size))


def test_a_rather_small_brain_is_noted_and_judged():
    found = assess(template_scan(size=0.68))
    assert found.judged
    assert "Check the voxel size" in found.notes[0]


def test_a_brain_of_any_kind_is_not_asked_about_its_size():
    assert assess(template_scan(size=0.3), Population("any")).judged


@pytest.mark.parametrize("turn", [np.diag([1, 1, -1]), np.diag([-1, -1, 1])], ids=["upside down", "back to front"])
def test_a_head_that_lies_otherwise_than_its_header_says(turn):
    scan = template_scan()
    affine = scan.affine.copy()
    affine[:3] = turn @ affine[:3]
    found = assess(replace(scan, affine=affine))
    assert not found.judged
    assert "orientation" in found.reasons[0]


def test_no_shape_but_a_brains_is_judged():
    scan = template_scan()
    places = np.indices(scan.image.shape) - np.reshape(np.array(scan.image.shape) / 2, (3, 1, 1, 1))
    rng = np.random.default_rng(0)
    noise = rng.normal(500, 100, scan.image.shape).astype(np.float32)
    ball = (places**2).sum(axis=0) < 18**2
    leg = (np.hypot(places[0], places[1]) < 13) & (abs(places[2]) < 20)
    for mask in (ball, leg):
        with pytest.raises(InputError, match="shape"):
            assess(replace(scan, image=noise, brain_mask=mask))


GAPS = {
    "about half of the brain, the left side": lambda x, y, z: x > 0,
    "about half of the brain, the right side": lambda x, y, z: x < 0,
    "the top": lambda x, y, z: z < 35,
    "a slab through the brain": lambda x, y, z: abs(z - 20) > 8,
    "left parietal": lambda x, y, z: (x + 55) ** 2 + (y + 45) ** 2 + (z - 40) ** 2 > 24**2,
    "right frontal": lambda x, y, z: (x - 40) ** 2 + (y - 45) ** 2 + (z - 20) ** 2 > 24**2,
}


@pytest.mark.parametrize("words", GAPS)
def test_missing_tissue_is_named_and_marked(words):
    whole, scan = template_scan(), template_scan(keep=GAPS[words])
    found = assess(scan)
    assert found.judged
    assert found.missing_part.startswith(words)
    gone = whole.brain_mask & ~scan.brain_mask
    assert not (found.missing & scan.brain_mask).any()
    overlap = 2 * (found.missing & gone).sum() / (found.missing.sum() + gone.sum())
    assert overlap > 0.6
    assert found.numbers["missing_ml"] == pytest.approx(found.missing.sum() * voxel_ml(scan))


def test_what_the_image_leaves_out_is_noted_and_not_marked():
    scan = template_scan(keep=lambda x, y, z: z < 35)
    top = int(np.flatnonzero(scan.brain_mask.any(axis=(0, 1)))[-1]) + 1
    cut = replace(scan, image=scan.image[:, :, :top], brain_mask=scan.brain_mask[:, :, :top])
    found = assess(cut)
    assert found.missing is None
    assert "ends within the brain" in found.notes[0]


def test_a_void_within_the_brain_mask_is_missing_tissue():
    scan = template_scan()
    void = np.zeros_like(scan.brain_mask)
    void[scan_voxel(scan, (-30, 10, 25))] = True
    void = ndimage.binary_dilation(void, np.ones((3, 3, 3)), iterations=2)
    found = assess(replace(scan, image=np.where(void, 0, scan.image).astype(np.float32)))
    assert np.array_equal(found.missing, void)
    assert "left" in found.missing_part


def test_a_few_slices_are_refused_for_a_volume_and_noted_for_slices():
    scan = template_scan(keep=lambda x, y, z: abs(z - 20) < 7)
    with pytest.raises(InputError, match=r"only \d slices of the brain"):
        assess(scan)
    found = assess(scan, slices=True)
    assert found.judged
    assert "slices" in found.notes[0]


def test_a_handful_of_voxels_is_refused_in_words():
    scan = template_scan()
    mask = np.zeros_like(scan.brain_mask)
    mask[20:22, 20:22, 20:22] = True
    with pytest.raises(ValueError, match="only 8 voxels"):
        assess(replace(scan, brain_mask=mask))


@pytest.mark.parametrize(
    ("age", "learned", "judged"),
    [(3, None, False), (30, None, True), (3, (20, 86), False), (30, (20, 86), True), (95, (20, 86), False)],
)
def test_people_of_an_age_that_the_model_has_not_learned_are_not_judged(age, learned, judged):
    found = assess(replace(template_scan(), source=Source(age=age)), Population("adult", learned))
    assert found.judged == judged
    assert judged or f"{age} years" in found.reasons[0]


def test_a_model_card_states_its_population():
    assert Population.of({}) == Population("adult")
    assert Population.of({"population": {"name": "any"}}) == Population("any")
    assert Population.of({"population": {"age": [20, 86]}}) == Population("adult", (20.0, 86.0))


def test_a_mask_that_lies_beside_the_brain_is_doubted():
    scan = template_scan()
    rng = np.random.default_rng(1)
    around = np.where(scan.brain_mask, scan.image, 900 * rng.random(scan.image.shape)).astype(np.float32)
    found = assess(replace(scan, image=around, brain_mask=np.roll(scan.brain_mask, 8, axis=1)))
    assert not found.judged
