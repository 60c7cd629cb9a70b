"""N4: a slow field that was put on is found again, and a run with it says so."""

import builtins
from dataclasses import replace

import numpy as np
import pytest
from tiny_cohort import scan_of, write_model
from tiny_model import affine_of

import itermask
from itermask.errors import InputError, MissingExtraError
from itermask.prepare import bias
from itermask.types import Scan

pytest.importorskip("SimpleITK")
SHAPE = (20, 22, 18)


@pytest.fixture(scope="module")
def even():
    """A head of two tissues without any slow change, voxels of 4 mm."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in SHAPE], indexing="ij")
    brain = sum(axis**2 for axis in axes) < 0.8
    tissue = 100 + 60 * (rng.random(SHAPE) < 0.5) + rng.normal(0, 2, SHAPE)
    return Scan(np.where(brain, tissue, 0).astype(np.float32), affine_of((4.0, 4.0, 4.0)), "T1w", brain, "even_T1w")


@pytest.fixture(scope="module")
def uneven(even):
    """The same head, brighter in front on the right, and the field."""
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in SHAPE], indexing="ij")
    field = np.exp(0.35 * axes[0] + 0.25 * axes[1])
    return replace(even, image=(even.image * field).astype(np.float32)), field


def test_a_field_that_was_put_on_is_found_again(even, uneven):
    scan, field = uneven
    brain = scan.brain_mask
    found = bias.bias_field(scan)
    assert found.dtype == np.float32
    assert np.corrcoef(np.log(found[brain]), np.log(field[brain]))[0, 1] > 0.97
    assert abs(np.log(found[brain]).mean()) < 1e-5
    assert (found[~brain] == 1).all()
    spread = [np.std(np.log(image[brain] / even.image[brain])) for image in (scan.image, scan.image / found)]
    assert spread[1] < 0.3 * spread[0]
    assert np.array_equal(found, bias.bias_field(scan)), "the same scan gives the same field"


def test_brightness_as_a_whole_does_not_matter(uneven):
    scan, _ = uneven
    found = bias.bias_field(scan)
    assert np.allclose(bias.bias_field(replace(scan, image=7 * scan.image)), found, rtol=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scan: replace(scan, brain_mask=None), "needs a brain mask"),
        (lambda scan: replace(scan, image=scan.image - 130), "not positive"),
        (
            lambda scan: replace(scan, image=scan.image[..., 7:10], brain_mask=scan.brain_mask[..., 7:10]),
            "4 voxels along",
        ),
    ],
)
def test_scans_that_n4_cannot_take(even, change, message):
    with pytest.raises(ValueError, match=message):
        bias.bias_field(change(even))


def test_a_run_with_n4_says_so_and_gives_the_reconstruction_under_the_scans_own_field(tmp_path):
    model = itermask.load_model(write_model(tmp_path / "model"), device="cpu")
    scan = scan_of(0)
    plain = itermask.run(scan, model)
    assert plain.settings["bias_correction"] == "none"
    found = itermask.run(scan, model, itermask.RunSettings(n4=True))
    assert found.settings["bias_correction"].startswith("N4 (SimpleITK ")
    assert "correct bias" in found.timings
    assert not np.array_equal(found.error, plain.error)
    field = bias.bias_field(replace(scan, brain_mask=found.brain))
    corrected = itermask.run(replace(scan, image=scan.image / field, brain_mask=found.brain), model)
    assert np.array_equal(found.error, corrected.error)
    assert np.allclose(found.reconstruction, corrected.reconstruction * field, rtol=1e-5)


def test_a_scan_that_n4_cannot_take_is_one_line_of_a_run(tmp_path):
    model = itermask.load_model(write_model(tmp_path / "model"), device="cpu")
    scan = scan_of(0)
    dark = replace(scan, image=np.where(scan.image > 0, scan.image - 200, 0).astype(np.float32))
    with pytest.raises(InputError, match=r"^tiny_T1w: N4 corrects a factor, but .* leave N4 out; check the scan"):
        itermask.run(dark, model, itermask.RunSettings(n4=True))


def test_without_simpleitk_the_extra_is_named_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(bias.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(builtins, "open", None)  # nothing is read
    with pytest.raises(MissingExtraError, match=r"pip install 'itermask\[prepare\]'"):
        itermask.run(tmp_path / "scan_T1w.nii.gz", settings=itermask.RunSettings(n4=True))
