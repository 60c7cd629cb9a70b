"""The report page: what it says, what it shows, and which way round."""

import base64
import gzip
import re
from dataclasses import replace
from hashlib import sha256

import nibabel as nib
import numpy as np
import pytest

from itermask.results.regions import regions_of
from itermask.results.report import charts, pictures, write_report
from itermask.results.report import page as page_module
from itermask.results.report import text as report_text
from itermask.results.report.page import NOTICE, render
from itermask.types import UNKNOWN, VERDICTS, Finding, Scan, Source

SHAPE = (24, 30, 20)
SEARCH = {
    "curve": (0.4 * np.tan(0.0153 * np.arange(1, 101))).tolist(),
    "step": 72,
    "threshold": 0.81,
    "gamma": 0.02,
    "fitted": True,
    "r_squared": 0.98,
    "crossed": True,
    "mask_voxels": [4000, 900, 300, 298],
    "passes": 3,
}


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Pictures of noise take long to compress."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 500)


def head(shape=SHAPE, affine=None, **changes):
    """A box-shaped head of random tissue with a box-shaped anomaly off its middle, in R-A-S order."""
    rng = np.random.default_rng(0)
    brain = np.zeros(shape, bool)
    brain[tuple(slice(size // 8, size - size // 8) for size in shape)] = True
    anomaly = np.zeros(shape, bool)
    anomaly[tuple(slice(size // 4, size // 4 + max(1, size // 6)) for size in shape)] = True
    image = rng.uniform(50, 150, shape).astype(np.float32)
    error = np.where(brain, rng.uniform(0, 0.2, shape) + anomaly, 0).astype(np.float32)
    affine = np.diag([6.0, 6.0, 6.0, 1.0]) if affine is None else affine
    finding = Finding(
        anomaly=anomaly,
        error=error,
        reconstruction=np.where(brain, image, 0),
        brain=brain,
        affine=affine,
        score=3.2,
        anomaly_fraction=float(anomaly.sum() / brain.sum()),
        mean_error=0.12,
        percentile=97.5,
        verdict=VERDICTS[2],
        threshold=0.8,
        scores={
            "profile_distance": {"value": 3.2, "percentile": 97.5, "healthy_median": 1.0, "healthy_p95": 1.7},
            "mask_size": {"value": 0.02, "percentile": 80.0, "healthy_median": 0.001, "healthy_p95": 0.03},
        },
        search=SEARCH,
        profile={"curve_50": {"value": -3.0, "z": 5.25}, "visible_mean": {"value": -4.0, "z": -0.5}},
        warnings=(),
        timings={"read": 0.1, "search": 12.0},
        settings={"model": "box-model", "seed": 0},
        versions={"itermask": "0.1"},
    )
    return Scan(image, affine, "T1w", brain, "head_T1w.nii.gz"), replace(finding, **changes)


def reoriented(scan, finding, codes):
    """The same head, stored with other axes."""
    order = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(scan.affine), nib.orientations.axcodes2ornt(codes)
    )
    affine = scan.affine @ nib.orientations.inv_ornt_aff(order, scan.image.shape)

    def turn(array):
        return np.ascontiguousarray(nib.orientations.apply_orientation(array, order))

    maps = {name: turn(getattr(finding, name)) for name in ("anomaly", "error", "reconstruction", "brain")}
    return replace(scan, image=turn(scan.image), affine=affine, brain_mask=maps["brain"]), replace(
        finding, affine=affine, **maps
    )


def oblique_affine():
    """Axes stored left, posterior, inferior; tilted by 20° about the first; voxels of 1 × 2 × 2.4 mm."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.diag([-1.0, -2.0, -2.4])
    affine[:3, 3] = 40, 50, -30
    return affine


def is_red(rgb):
    return (rgb == pictures.CONTOUR).all(axis=-1)


def test_one_file_that_needs_nothing_else(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(*head(), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|<link|<iframe|<object|@import|url\(|srcset=", page)
    sources = re.findall(r'\bsrc="([^"]*)"', page)
    assert len(sources) == 9 + 4  # three rows in three planes, four charts
    assert all(source.startswith("data:image/") for source in sources)
    assert all(re.search(r'alt="[^"]{10,}"', tag) for tag in re.findall(r"<img[^>]*>", page))
    for source in sources:
        content = base64.b64decode(source.split(",", 1)[1])
        assert content.startswith(b"\x89PNG") or content.rstrip().endswith(b"</svg>")


def test_the_policy_allows_the_pages_own_scripts_and_no_network():
    page = render(*head())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "base-uri", "form-action", "img-src", "style-src", "script-src"}
    assert rules["img-src"] == "data: blob:"
    held = re.findall(r"<script( [^>]*)?>(.*?)</script>", page, re.DOTALL)
    (own,) = [content for kind, content in held if not kind]
    packed = next(content for kind, content in held if 'id="program"' in kind)
    scripts = (own.encode(), gzip.decompress(base64.b64decode(packed)))
    digests = [base64.b64encode(sha256(script).digest()).decode() for script in scripts]
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert all("text/plain" in kind or "application/json" in kind for kind, _ in held if kind)


def test_without_a_viewer_there_is_no_script():
    page = render(*head(), viewer=False)
    assert not re.search(r"<script|script-src|canvas id=", page)
    assert len(page) < 0.6 * len(render(*head()))
    for text in (NOTICE, "Marked regions", "Outside the healthy range", "Threshold curve"):
        assert text in page


def test_a_page_is_no_larger_than_it_may_be(monkeypatch):
    scan, finding = head(shape=(48, 60, 40), affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    size = len(render(scan, finding).encode())
    assert "times as coarse" not in render(scan, finding)
    for lack, says in ((100_000, "times as coarse"), (10_000_000, "is left out")):
        limit = size + page_module.TEXT - lack
        monkeypatch.setattr(page_module, "LARGEST", limit)
        page = render(scan, finding)
        assert says in page
        assert len(page.encode()) <= max(limit, size - 1_000_000)


def test_the_largest_regions_are_listed_and_the_others_counted():
    scan, finding = head()
    many = np.zeros_like(finding.anomaly)
    many[4:21:2, 4:27:3, 4:17:3] = True
    many[4:7, 4:7, 4] = True
    finding = replace(finding, anomaly=many)
    page = render(scan, finding, viewer=False)
    regions, count = regions_of(scan, finding)
    rows = re.findall(r"<tr data-mm=.*?</tr>", page, re.DOTALL)
    assert len(rows) == page_module.LISTED < count
    assert f"{count} connected regions are marked" in page
    rest = sum(region.volume_ml for region in regions[page_module.LISTED :])
    assert f"the other {count - page_module.LISTED} have {rest:.2f} ml together" in page
    assert report_text.position_text(regions[0].position_mm) in rows[0]
    assert "Side" not in page
    header = nib.Nifti1Header()
    header["sform_code"] = 4
    assert ">right</td>" in render(replace(scan, header=header), finding, viewer=False)


@pytest.mark.parametrize(
    ("reasons", "says"),
    [
        (["profile_distance"], "unlike those of healthy scans (3.20; 95 % of healthy scans stay below 1.70)."),
        (["profile_distance", "mask_size"], ", and more of the brain is marked than in healthy scans (2.00 %;"),
        ([], "Neither its errors nor the size"),
        (None, ""),
    ],
)
def test_a_verdict_has_its_reason(reasons, says):
    _, finding = head()
    search = SEARCH if reasons is None else SEARCH | {"verdict_reasons": reasons}
    told = report_text.reason(replace(finding, search=search))
    assert says in told
    assert bool(told) == bool(says)
    assert report_text.reason(replace(finding, search=search, verdict=UNKNOWN)) == ""


def test_a_stack_is_viewed_in_its_own_plane():
    def views(page):
        return re.findall(r'data-view="(\d)"', page)

    assert views(render(*head())) == ["3", "0", "1", "2", "4"]
    assert views(render(*head(shape=(24, 24, 14), affine=np.diag([3.0, 3.0, 6.0, 1.0])))) == ["0", "4"]
    assert views(render(*head(shape=(24, 1, 30), affine=np.diag([6.0, 5.0, 6.0, 1.0])))) == ["1"]


def test_says_what_was_found():
    page = render(*head())
    for text in (NOTICE, "Outside the healthy range", "box-model", "T1w", "97.5", "ml", "squared scaled intensity"):
        assert text in page
    assert "error level at 50 % of the brain (5.2 standard deviations above)" in page
    assert 'class="verdict red"' in page
    assert "Please note" not in page
    assert render(*head()) == page


@pytest.mark.parametrize(("verdict", "tone"), zip(VERDICTS, ("green", "amber", "red"), strict=True))
def test_verdict_has_its_colour(verdict, tone):
    assert f'class="verdict {tone}"' in render(*head(verdict=verdict, search={}, scores={}, profile={}))


def test_text_from_users_is_escaped():
    scan, finding = head(warnings=("a <i>warning</i>",), settings={"model": "<u>m</u>"})
    page = render(replace(scan, name='<b>x</b>"'), finding)
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "&lt;i&gt;warning&lt;/i&gt;" in page
    assert not re.search(r"<b>x|<i>warning|<u>m", page)
    assert "Please note" in page


def test_missing_keys_leave_charts_out():
    scan, finding = head(
        search={}, profile={}, scores={"other": {"value": 1.0}}, settings={}, timings={}, versions={},
        threshold=float("nan"), percentile=float("nan"),
    )  # fmt: skip
    page = render(replace(scan, sequence=None), finding)
    assert "Threshold curve" not in page
    assert "Mask size" not in page
    assert "<details>" not in page
    assert "not known" in page
    assert NOTICE in page
    assert "nan" not in re.sub(r'"data:[^"]*"|<script type="text/plain".*?</script>', "", page, flags=re.DOTALL)


def test_nothing_found_and_nothing_to_compare():
    scan, finding = head(scores={}, verdict=VERDICTS[0])
    finding = replace(finding, anomaly=np.zeros_like(finding.anomaly), error=np.zeros_like(finding.error))
    page = render(scan, finding)
    assert "No voxel is marked as anomaly" in page
    assert "without any anomaly" in page


def test_search_that_never_crossed_or_fitted():
    search = SEARCH | {"crossed": False, "fitted": False, "r_squared": -np.inf, "mask_voxels": [9, 0]}
    page = render(*head(search=search, scores={}, profile={}))
    assert "never exceeded" in page
    assert "misses the curve" in page


def test_a_threshold_that_was_cut_off_at_the_limit():
    curve = SEARCH["curve"]
    search = SEARCH | {"own_threshold": curve[95], "step": 95, "threshold": curve[72]}
    page = render(*head(search=search))
    assert f"lowered from {charts.number(curve[95])} to {charts.number(curve[72])}" in page
    assert "lowered" not in render(*head(search=SEARCH | {"own_threshold": SEARCH["threshold"]}))
    assert charts.threshold_chart(search) != charts.threshold_chart(SEARCH | {"own_threshold": SEARCH["threshold"]})


def test_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_report(*head(search={}, scores={}, profile={}), path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_maps_of_another_shape_are_refused():
    scan, finding = head()
    with pytest.raises(ValueError, match="does not fit"):
        pictures.draw_planes(scan, replace(finding, error=finding.error[1:]))


def test_contour_surrounds_the_mask_and_hides_none_of_it():
    anomaly = np.zeros((20, 30), bool)
    anomaly[5:9, 12:20] = True
    rgb = pictures.scan_tile(np.full((20, 30), 100.0), anomaly, (0, 200), (80, 120))
    red = is_red(rgb)
    expected = np.zeros((80, 120), bool)
    expected[18:38, 46:82] = True
    expected[20:36, 48:80] = False
    assert np.array_equal(red, expected)
    assert (rgb[~red] == 128).all()


def test_a_lone_voxel_stays_marked_in_a_smaller_picture():
    anomaly = np.zeros((100, 100), bool)
    anomaly[51, 51] = True
    assert is_red(pictures.scan_tile(np.zeros((100, 100)), anomaly, (0, 1), (30, 30))).any()


def test_patient_right_is_on_the_left():
    """The anomaly lies right, anterior and superior of the middle, each to another extent."""
    scan, finding = head(shape=(20, 20, 20))
    anomaly = np.zeros((20, 20, 20), bool)
    anomaly[15:17, 13:15, 11:13] = True
    finding = replace(finding, anomaly=anomaly)
    image = np.full(scan.image.shape, 50, np.float32)
    image[0, 0, 0] = 0
    drawn = {picture.plane: picture for picture in pictures.draw_planes(replace(scan, image=image), finding, slices=1)}
    for plane, (left, up) in {"axial": (16, 14), "coronal": (16, 12), "sagittal": (14, 12)}.items():
        rows, columns = np.nonzero(is_red(drawn[plane].scan))
        height, width = drawn[plane].scan.shape[:2]
        assert columns.mean() / width == pytest.approx(1 - left / 20, abs=0.03)
        assert rows.mean() / height == pytest.approx(1 - up / 20, abs=0.03)


@pytest.mark.parametrize("codes", ["LPI", "PSR", "IAL", "RSA"])
def test_pictures_do_not_depend_on_how_the_head_is_stored(codes):
    affine = np.diag([6.0, 5.0, 7.0, 1.0])
    affine[:3, 3] = -60, -70, -20
    scan, finding = head(affine=affine)
    stored = reoriented(scan, finding, tuple(codes))
    for one, other in zip(pictures.draw_planes(scan, finding), pictures.draw_planes(*stored), strict=True):
        assert one.positions == other.positions
        for row in ("scan", "reconstruction", "error"):
            assert np.array_equal(getattr(one, row), getattr(other, row))
        across = stored[1].anomaly.any(axis=tuple(axis for axis in range(3) if axis != other.file_axis))
        assert across[list(other.file_slices)].any()


def test_oblique_anisotropic_scan_keeps_its_proportions():
    scan, finding = head(affine=oblique_affine(), search={}, scores={}, profile={})
    page = render(scan, finding)
    assert "tilted by 20°" in page
    axial, coronal, sagittal = pictures.draw_planes(scan, finding)
    box = pictures.brain_box(finding.brain, np.array([1.0, 2.0, 2.4]))
    x, y, z = (np.array([part.stop - part.start for part in box]) * (1, 2, 2.4)).tolist()
    assert axial.scan.shape[0] / coronal.scan.shape[0] == pytest.approx(y / z, rel=0.02)
    assert coronal.scan.shape[0] == sagittal.scan.shape[0]
    tile = (sagittal.scan.shape[1] - 4 * pictures.GAP) / 5
    assert tile / sagittal.scan.shape[0] == pytest.approx(max(x, y) / z, rel=0.02)


@pytest.mark.parametrize(("across", "plane"), [(0, "sagittal"), (1, "coronal"), (2, "axial")])
def test_of_a_thick_stack_every_slice_is_shown_and_nothing_else(across, plane):
    shape, edges = [24, 24, 24], [3.0, 3.0, 3.0, 1.0]
    shape[across], edges[across] = 14, 6.0
    scan, finding = head(shape=tuple(shape), affine=np.diag(edges))
    drawn = pictures.draw_planes(scan, finding)
    assert {one.plane for one in drawn} == {plane}
    assert {one.file_axis for one in drawn} == {across}
    held = np.flatnonzero(finding.brain.any(axis=tuple(axis for axis in range(3) if axis != across)))
    shown = sum((one.file_slices for one in drawn), ())
    assert sorted(shown) == held.tolist()
    assert all(len(one.file_slices) <= pictures.STACK_ROW for one in drawn)
    assert len({one.scan.shape[0] for one in drawn}) == 1  # one scale
    red = [is_red(one.scan).any() for one in drawn]
    marked = finding.anomaly.any(axis=tuple(axis for axis in range(3) if axis != across))
    assert red == [bool(marked[list(one.file_slices)].any()) for one in drawn]
    page = render(scan, finding)
    assert page.count(f"<h3>{plane.capitalize()}<small>") == len(drawn)


def test_of_a_long_stack_the_slices_with_most_of_the_anomaly_are_shown():
    scan, finding = head(shape=(12, 12, 80), affine=np.diag([1.0, 1.0, 4.0, 1.0]))
    shown = sum((one.file_slices for one in pictures.draw_planes(scan, finding)), ())
    assert len(shown) == pictures.STACK_SLICES
    assert finding.anomaly.any(axis=(0, 1))[list(shown)].sum() > 5


def test_single_slice():
    affine = np.diag([6.0, 6.0, 5.0, 1.0])
    scan, finding = head(shape=(24, 30, 1), affine=affine)
    (only,) = pictures.draw_planes(scan, finding)
    assert only.plane == "axial"
    assert only.file_slices == (0,)
    assert "Coronal" not in render(scan, finding)


def test_slices_cover_the_brain_and_the_anomaly():
    brain = np.zeros((4, 4, 100), bool)
    brain[:, :, 10:90] = True
    none = np.zeros_like(brain)
    assert pictures.choose_slices(none, brain, 2) == [18, 34, 50, 66, 82]
    one = none.copy()
    one[1, 1, 37] = True
    assert pictures.choose_slices(one, brain, 2) == [18, 37, 50, 66, 82]
    assert pictures.choose_slices(none, none, 0) == [0, 1, 2, 3]


def test_slices_follow_anomalies_that_lie_close_together():
    brain = np.ones((4, 4, 60), bool)
    anomaly = np.zeros_like(brain)
    anomaly[:, :, 28:34] = True
    anomaly[0, 0, 31] = False
    chosen = pictures.choose_slices(anomaly, brain, 2)
    assert len(chosen) == 5
    assert 28 in chosen


@pytest.mark.parametrize("value", [0.0, 1e-7, 0.5, 40.0])
def test_a_score_far_from_the_healthy_range_can_be_drawn(value):
    assert charts.score_chart({"mean_error": {"value": value, "healthy_median": 0.4, "healthy_p95": 0.6}})


def test_numbers_are_short():
    assert [charts.number(x) for x in (0.97, 12345.6, -2.5, 0, 3e-6, None, np.nan)] == [
        "0.970", "12346", "−2.50", "0.00", "3.0e−06", "–", "–",
    ]  # fmt: skip
    assert charts.feature_name("curve_50") == "error level at 50 % of the brain"
    assert charts.score_value("mask_size", 0.0123) == "1.23 %"


def test_slices_of_a_dicom_series_have_their_instance_numbers():
    """In the table of regions, and above the pictures of the plane that the images lie in; nowhere else."""
    scan, finding = head()
    numbers = tuple(range(300, 300 - SHAPE[2], -1))
    page = render(replace(scan, source=Source(instances=numbers)), finding, viewer=False)
    (region, *_), _ = regions_of(replace(scan, source=Source(instances=numbers)), finding)
    assert region.instance == numbers[region.voxel[2]]
    assert f'<td data-label="Instance">{region.instance}</td>' in page
    axial, coronal, sagittal = re.findall(r"<small>(.*?)</small>", page[page.index("Slices</h2>") :])[:3]
    told, indices = re.fullmatch(r"instance numbers ([\d, ]+); file slices ([\d, ]+) \(from 0\) .*", axial).groups()
    assert [int(number) for number in told.split(", ")] == [numbers[int(index)] for index in indices.split(", ")]
    assert coronal.startswith("file slices")
    assert sagittal.startswith("file slices")
    for other in (None, Source(), Source(instances=numbers[:-1])):
        assert "nstance" not in render(replace(scan, source=other), finding, viewer=False)
