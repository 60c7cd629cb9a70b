"""The page on adding a method, word for word: its files as an installed package, its training, its run."""

import tomllib

import nibabel as nib
import pytest
from test_docs_snippets import OWN_PACKAGE, ROOT, blocks, place, run_page, template  # noqa: F401 (fixtures)
from tiny_model import tiny_scan, write_nifti

import itermask
from itermask import methods
from itermask.methods import build_method, method_names
from itermask.models.folder import load_model, read_card
from itermask.training.config import read_config
from itermask.training.train import train_model

PAGE = ROOT / OWN_PACKAGE


def write_scans(folder, count=6):
    """Tiny scans with brain masks, and a table that names them."""
    rows = ["path\tbrain_mask\tparticipant_id\tsplit"]
    for seed in range(count):
        scan = tiny_scan(seed=seed)
        write_nifti(folder / f"p{seed}_T1w.nii.gz", scan)
        nib.save(nib.Nifti1Image(scan.brain_mask.astype("uint8"), scan.affine), folder / f"p{seed}_mask.nii.gz")
        rows.append(f"p{seed}_T1w.nii.gz\tp{seed}_mask.nii.gz\tp{seed}\t{'train' if seed < 2 else 'val'}")
    (folder / "train.tsv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def installed(place, monkeypatch):  # noqa: F811
    """The page's module, project file and settings, laid out as an installer would lay them out."""
    page = blocks(PAGE)
    module = next(block.text for block in page if block.kind == "python")
    project, settings = (block.text for block in page if block.kind == "toml")
    about = tomllib.loads(project)["project"]
    site = place / "site-packages"
    info = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())
        for group, found in about["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))
    (site / "neighbourhood.py").write_text(module)
    (place / "neighbourhood.toml").write_text(settings)
    write_scans(place)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(methods, "METHODS", dict(methods.METHODS))  # what the page registers is forgotten
    return place


def test_a_package_brings_a_method_that_trains_and_runs(installed):
    assert "neighbourhood" in method_names()
    assert "neighbourhood" not in methods.METHODS
    config = read_config(installed / "neighbourhood.toml")
    folder = train_model(installed / "train.tsv", "T1w", installed / "trained", config, "cpu")
    card = read_card(folder)
    assert (card["method"], card["method_settings"]) == ("neighbourhood", {"width": 12.0})
    model = load_model(folder, device="cpu")
    assert type(model.method).__module__ == "neighbourhood"
    finding = itermask.run(installed / "sub-01_T1w.nii.gz", model, brain_mask=installed / "brain.nii.gz")
    assert finding.settings["operating_point"] == model.calibration["operating_point"]
    assert finding.anomaly.any()  # the bright ball
    assert (finding.anomaly & finding.brain).sum() < 0.2 * finding.brain.sum()


def test_a_page_that_installs_nothing_would_be_noticed():
    with pytest.raises(ValueError, match="unknown method 'neighbourhood'"):
        build_method("neighbourhood")


def test_the_page_runs(installed, command):
    assert run_page(PAGE, command) == 5
