"""How a finding shows itself: one line, a notebook card, a figure, images on the scan's grid, a table."""

import base64
import io
import re
import sys
from dataclasses import replace

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from test_io_outputs import some_finding
from tiny_model import affine_of, oblique, tiny_scan, write_nifti

from itermask.errors import InputError
from itermask.io.nifti import read_scan
from itermask.io.outputs import write_finding
from itermask.results.regions import regions_of
from itermask.showing import IMAGES, REGION_COLUMNS, TITLES, anomaly_ml, region_rows

mpl.use("agg")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    made = tiny_scan(affine=oblique(affine_of()))
    return read_scan(write_nifti(tmp_path_factory.mktemp("scans") / "sub-01_T1w.nii.gz", made))


@pytest.fixture
def finding(scan):
    found = some_finding(scan, settings={"scan": scan.name}, headline="A <b>bold</b> claim.")
    anomaly = np.zeros(scan.image.shape, bool)
    anomaly[10:14, 12:16, 9:12] = True
    anomaly[20, 20, 20] = True
    return replace(found, anomaly=anomaly, scan=scan)


def test_repr_is_one_short_line_that_names_scan_verdict_and_size(finding):
    said = repr(finding)
    assert "\n" not in said
    assert len(said) < 160
    assert "sub-01_T1w.nii.gz" in said
    assert finding.verdict in said
    assert "0.735 mL" in said  # 49 voxels of 2 × 2.5 × 3 mm
    assert repr(replace(finding, percentile=float("nan"), scan=None, settings={})).startswith("<Finding: ")


def test_the_card_has_verdict_three_slices_and_no_markup_of_others(finding):
    card = finding._repr_html_()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', card)
    assert len(pictures) == 3
    for picture in pictures:
        tile = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
        assert tile.std() > 1
    assert finding.verdict in card
    assert "A &lt;b&gt;bold&lt;/b&gt; claim." in card
    assert "<b>" not in card
    assert "not a diagnosis" in card
    assert "<img" not in replace(finding, scan=None)._repr_html_()


def test_plot_draws_every_plane_with_scan_expectation_and_error(finding):
    from matplotlib import pyplot

    figure = finding.plot(slices=2)
    assert figure.number in pyplot.get_fignums()
    assert len(figure.axes) == 9
    assert tuple(axis.get_title() for axis in figure.axes[:3]) == TITLES
    assert finding.verdict in figure.get_suptitle()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    assert np.asarray(Image.open(buffer)).std() > 1
    pyplot.close(figure)


def test_plot_needs_the_scan_and_at_least_a_slice(finding):
    with pytest.raises(InputError, match="does not hold its scan"):
        replace(finding, scan=None).plot()
    with pytest.raises(InputError, match="at least 1"):
        finding.plot(0)


def test_images_are_the_files_that_a_finding_is_written_as(finding, scan, tmp_path):
    write_finding(scan, finding, tmp_path)
    for name in ("anomaly", "brain", "error", "reconstruction"):
        image, written = finding.to_nifti(name), nib.load(tmp_path / f"{name}.nii.gz")
        assert image.get_data_dtype() == written.get_data_dtype()
        assert np.array_equal(image.get_fdata(), written.get_fdata())
        assert np.array_equal(image.affine, written.affine)
        assert image.header["sform_code"] == written.header["sform_code"]


def test_images_without_the_scan_lie_where_the_affine_says_and_missing_ones_are_refused(finding):
    assert np.allclose(replace(finding, scan=None).to_nifti().affine, finding.affine, atol=1e-5)
    with pytest.raises(InputError, match=", ".join(IMAGES)):
        finding.to_nifti("lesion")
    for name in ("revealed", "missing"):
        with pytest.raises(InputError, match="no image"):
            finding.to_nifti(name)


def test_regions_are_the_reports_as_a_pandas_table_or_a_list(finding, scan, monkeypatch):
    pandas = pytest.importorskip("pandas")
    table = finding.regions
    assert isinstance(table, pandas.DataFrame)
    assert tuple(table.columns) == REGION_COLUMNS
    described, count = regions_of(scan, finding)
    assert len(table) == count == 2
    assert table["voxels"].tolist() == [one.voxels for one in described] == [48, 1]
    assert table["volume_ml"].sum() == pytest.approx(anomaly_ml(finding))
    assert table.loc[1, ["i", "j", "k"]].tolist() == [20, 20, 20]
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert finding.regions == region_rows(finding)


def test_a_finding_without_regions_still_has_the_columns(finding):
    pytest.importorskip("pandas")
    table = replace(finding, anomaly=np.zeros_like(finding.anomaly)).regions
    assert len(table) == 0
    assert tuple(table.columns) == REGION_COLUMNS


def test_a_scan_within_a_finding_is_no_part_of_its_summary(finding):
    assert replace(finding, scan=None).summary() == finding.summary()
