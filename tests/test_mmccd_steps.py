"""The benchmark of MMCCD's savings: its table, its figures, and what it refuses."""

import mmccd_steps
import nibabel as nib
import numpy as np
import pytest
from largest_slices import parts_of
from test_mmccd import SMALL, error_of, tiny_runtime
from tiny import tiny_card, write_scan

from itermask.evaluation.metrics.ranking import auprc_voxels
from itermask.evaluation.metrics.thresholds import best_shared_threshold
from itermask.io.datasets import read_dataset
from itermask.methods.mmccd import MMCCD
from itermask.models.folder import load_model, save_model

pytest.importorskip("monai.networks.schedulers")


# The benchmark of its savings


def lesion_data(folder, patients=2):
    """Tiny patients with a ball as the lesion, in the layout `flat`."""
    for seed in range(patients):
        path, mask = write_scan(folder, f"p{seed}", seed)
        scan = nib.load(path)
        axes = np.meshgrid(*[np.arange(n) - 0.5 * n for n in scan.shape], indexing="ij")
        ball = sum(axis**2 for axis in axes) < 2.6**2
        image = np.where(ball, scan.get_fdata() + 700, scan.get_fdata()).astype(np.float32)
        nib.save(nib.Nifti1Image(image, scan.affine), path)
        nib.save(nib.Nifti1Image(ball.astype(np.uint8), scan.affine), folder / f"p{seed}_lesion.nii.gz")
        mask.rename(folder / f"p{seed}_brain.nii.gz")
    rows = "".join(f"p{seed}\tval\n" for seed in range(patients))
    (folder / "participants.tsv").write_text(f"participant_id\tsplit\n{rows}")
    return folder


def model_folder(folder):
    """A model folder with the networks of `tiny_runtime`, not calibrated."""
    networks = tiny_runtime().networks
    state = {f"{role}.{key}": value for role, one in networks.items() for key, value in one.state_dict().items()}
    method = MMCCD(**SMALL, share=4)
    specs = {
        "a_to_b": {"name": "time-unet", "arguments": {"widths": [4, 8], "group_size": 4, "features": 8}},
        "b_to_a": {
            "name": "block-unet",
            "arguments": {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4},
        },
    }
    save_model(folder, state, tiny_card(method="mmccd", method_settings=method.settings(), networks=specs))
    return folder


def test_the_benchmark_puts_its_table_between_the_marks(tmp_path):
    model, data, document = model_folder(tmp_path / "tiny"), lesion_data(tmp_path / "made"), tmp_path / "results.md"
    marks = [f"<!-- benchmark mmccd-steps: {which} -->" for which in ("start", "end")]
    document.write_text(f"Before\n{marks[0]}\nold\n{marks[1]}\nafter\n")
    how = [str(model), str(data), "--ddim-steps", "1", "--strips", "4", "--slices", "2", "--device", "cpu"]
    mmccd_steps.main([*how, "--insert", str(document)])
    before, rest = document.read_text().split(marks[0])
    body, after = rest.split(marks[1])
    assert (before, after) == ("Before\n", "\nafter\n")
    assert "4 slices of 2 patients of made (val), seed 0" in body
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines() if line.startswith("|")][2:]
    assert [row[0] for row in rows] == ["paper", "model's own", "4 × 1", "4 × 1, shared"]
    passes = [int(row[4]) for row in rows]
    assert passes[0] == 2 * 16 * 100  # as many strips as there are pixels
    assert passes == sorted(passes, reverse=True)
    assert passes[3] < passes[2]
    assert all(0 <= float(row[column]) <= 1 for row in rows for column in (5, 6))


def test_the_benchmark_measures_what_the_package_measures(tmp_path):
    model = load_model(model_folder(tmp_path / "tiny"), device="cpu")
    cases = read_dataset(lesion_data(tmp_path / "made", 1))
    (part,) = parts_of(cases, model, 3)
    assert part.prepared.image.shape == part.label.shape == (16, 16, 3)
    areas = part.label.sum(axis=(0, 1))
    assert areas.min() > 10
    method = model.method
    error = error_of(method, part.prepared, model.runtime)
    pieces = [[one[..., at] for at in range(3)] for one in (error, part.label, part.prepared.brain)]
    found = mmccd_steps.measure(model, [part], {})
    assert found.dice == pytest.approx(best_shared_threshold(*pieces).dice.mean())
    assert found.auprc == pytest.approx(np.mean([auprc_voxels(*one) for one in zip(*pieces, strict=True)]))
    assert found.seconds > 0


@pytest.mark.parametrize("wrong", ["marks", "method", "split"])
def test_what_the_benchmark_cannot_use_is_one_line(wrong, tmp_path, capsys):
    model, data = model_folder(tmp_path / "tiny"), lesion_data(tmp_path / "made", 1)
    how = {"marks": ["--insert", str(tmp_path / "none.md")], "method": [], "split": ["--split", "test"]}[wrong]
    chosen = "t1w-2mm" if wrong == "method" else str(model)
    with pytest.raises(SystemExit):
        mmccd_steps.main([chosen, str(data), "--ddim-steps", "--strips", "--device", "cpu", *how])
    said = {"marks": "has no lines", "method": "give an mmccd model", "split": "in split 'test'"}[wrong]
    assert said in capsys.readouterr().err
