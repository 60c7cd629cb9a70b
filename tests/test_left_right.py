"""Left and right are true in everything that is written, however a head is stored: mask, picture, words, DICOM."""

import base64
import gzip
import html
import json
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy import ndimage
from tiny_dicom import save, slices
from tiny_model import oblique, stored_as, tiny_card, write_nifti
from tiny_template import template_scan

from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.write import write_dicom
from itermask.io.nifti import read_scan
from itermask.io.outputs import write_finding
from itermask.models.folder import load_model, save_model
from itermask.pipeline import analyze
from itermask.prepare.atlas import template
from itermask.results.regions import regions_of
from itermask.results.report import embed, pictures
from itermask.results.report import text as report_text
from itermask.types import Finding

RADIUS = 11.0  # mm of a lesion
HALF_VOXEL = 2.0  # mm
NEAR = 8.0  # mm by which a coarse head's place in MNI space may be wrong
PLACES = {  # MNI mm of a lesion, by the words for it
    "left frontal": (-28.0, 30.0, 22.0),
    "right cerebellar": (28.0, -62.0, -34.0),
}
AXES = {  # where each axis of a head in RAS goes, as nibabel counts
    "RAS": [[0, 1], [1, 1], [2, 1]],
    "LPS": [[0, -1], [1, -1], [2, 1]],
    "PSR": [[2, 1], [0, -1], [1, 1]],
}
STORED = ("RAS", "LPS", "PSR", "oblique RAS", "oblique PSR", "sagittal DICOM PSR", "oblique axial DICOM LPS")
TOWARDS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
FLIP = np.diag([-1.0, -1.0, 1.0])  # RAS and LPS mm


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Marks what is much brighter than the rest of the brain; nothing is learned."""
    folder = tmp_path_factory.mktemp("model") / "bright"
    calibration = {
        "operating_point": {"threshold": 5.0},
        "default_score": "mask_size",
        "healthy": {"mask_size": [0.0001, 0.0002, 0.0003, 0.0004], "focal": [0.1, 0.2, 0.3]},
        "focal": {"unit": 2.0},
    }
    card = tiny_card(
        method="robust-z", method_settings={"smoothing": 0.0}, networks={}, calibration=calibration,
        spacing=[4.0, 4.0, 4.0], box=[48, 56, 48], population={"name": "adult"},
    )  # fmt: skip
    save_model(folder, {}, card)
    return load_model(folder, device="cpu")


def with_lesion(mni):
    """A head in RAS with a bright ball at a place of MNI space; the file's zero lies beside the head."""
    scan = template_scan()
    voxels = np.indices(scan.image.shape).reshape(3, -1)
    away = (scan.affine[:3, :3] @ voxels + scan.affine[:3, 3:]).T - template().usual_size * np.array(mni)
    ball = (np.linalg.norm(away, axis=1) < RADIUS).reshape(scan.image.shape) & scan.brain_mask
    shift = np.eye(4)
    shift[0, 3] = -110 * np.sign(mni[0])  # so that the sign of a coordinate says the wrong side
    return replace(scan, image=np.where(ball, 4000, scan.image), affine=shift @ scan.affine), ball


def stored(how, scan, ball, folder):
    """The head as it is read from files, the series if it is one, and the true lesion on the grid that was read."""
    affine = oblique(scan.affine) if "oblique" in how else scan.affine
    axes = np.array(AXES[how[-3:]])
    head = stored_as(replace(scan, affine=affine), axes)
    truth = stored_as(replace(scan, affine=affine, image=ball), axes).image
    assert "".join(nib.aff2axcodes(head.affine)) == how[-3:]
    if "DICOM" not in how:
        return read_scan(write_nifti(folder / "head_T1w.nii.gz", head)), None, truth
    image = np.rint(head.image).astype(np.int16)
    save(folder / "series", slices(image, head.affine, BodyPartExamined="BRAIN"))
    read = read_dicom(folder / "series", sequence="T1w")[0]
    there = np.rint(np.linalg.inv(head.affine) @ read.scan.affine @ every_voxel(truth)).astype(int)
    return read.scan, read.series, truth[tuple(there[:3])].reshape(read.scan.image.shape)


def every_voxel(array):
    """The indices of all voxels, and ones."""
    return np.vstack([np.indices(array.shape).reshape(3, -1), np.ones((1, array.size))])


def middle(mask, affine):
    """A mask's centre of mass in mm."""
    return affine[:3, :3] @ ndimage.center_of_mass(mask) + affine[:3, 3]


@dataclass(frozen=True)
class Processed:
    """A head that was processed: where its lesion is in words, MNI mm and scanner mm, and what was written."""

    words: str
    mni: np.ndarray
    place: np.ndarray
    truth: np.ndarray
    finding: Finding
    out: Path

    @property
    def side(self):
        return self.words.split()[0]

    @property
    def listed(self):
        return json.loads((self.out / "finding.json").read_text())["regions"]["listed"]


@pytest.fixture(scope="module", params=[(how, words) for how in STORED for words in PLACES], ids=" with ".join)
def processed(request, model, tmp_path_factory):
    how, words = request.param
    folder = tmp_path_factory.mktemp("head")
    scan, series, truth = stored(how, *with_lesion(PLACES[words]), folder)
    finding = analyze(scan, model)
    out = write_finding(finding.scan, finding, folder / "out")
    if series is not None:
        write_dicom(finding.scan, series, finding, out)
    return Processed(words, np.array(PLACES[words]), middle(truth, scan.affine), truth, finding, out)


def dicom_of(processed, name):
    """Datasets of a result by its name; skips where the head is no DICOM series."""
    if not (processed.out / "dicom").exists():
        pytest.skip("not a DICOM series")
    return [pydicom.dcmread(path) for path in sorted((processed.out / "dicom").glob(name))]


def test_the_mask_lies_on_the_lesion(processed):
    stored = nib.load(processed.out / "anomaly.nii.gz")
    mask = np.asarray(stored.dataobj) > 0
    assert 2 * (mask & processed.truth).sum() > 0.85 * (mask.sum() + processed.truth.sum())
    np.testing.assert_allclose(middle(mask, stored.affine), processed.place, atol=HALF_VOXEL)


def test_the_list_of_regions_says_where(processed):
    largest = processed.listed[0]
    assert (largest["side"], largest["place"].startswith(processed.words)) == (processed.side, True)
    np.testing.assert_allclose(largest["position_mm"], processed.place, atol=2 * HALF_VOXEL)
    np.testing.assert_allclose(largest["position_mni_mm"], processed.mni, atol=NEAR)
    assert processed.truth[tuple(largest["voxel"])]


def test_the_words_say_the_side_and_no_other(processed):
    other = {"left": "right", "right": "left"}[processed.side]
    report = (processed.out / "report.html").read_text()
    for text in (processed.finding.headline, processed.finding.questions[2]["sentence"]):
        assert processed.words in text
        assert other not in text
    assert processed.finding.headline in html.unescape(report)
    row = report_text.region_rows(regions_of(processed.finding.scan, processed.finding)[0])[0]
    assert (row["side"], row["part"]) == (processed.side, processed.listed[0]["place"])
    assert f">{row['part']}</td>" in report


def letter_at(tile, edge):
    """The letter that is drawn at an edge of a picture, told by drawing each of them onto a black one."""
    fits = []
    for letter in TOWARDS:
        edges = "".join(letter if number == edge else " " for number in range(4))
        drawn = pictures._label(np.zeros_like(tile), edges, "") > 200
        fits.append(((tile > 200) & drawn).sum() - 0.5 * drawn.sum() if (tile[drawn] > 200).all() else -1)
    assert max(fits) > 0
    return list(TOWARDS)[int(np.argmax(fits))]


def test_the_lesion_is_outlined_on_the_side_whose_letter_is_its_own(processed):
    scan, finding = processed.finding.scan, processed.finding
    offset = processed.place - middle(finding.brain, finding.affine)
    planes = pictures.draw_planes(scan, finding)
    assert {plane.plane for plane in planes} == set(pictures.PLANES)
    for plane in planes:
        count = len(plane.positions)
        width = (plane.scan.shape[1] - pictures.GAP * (count - 1)) // count
        tiles = [plane.scan[:, n * (width + pictures.GAP) :][:, :width] for n in range(count)]
        outlines = [(tile == pictures.CONTOUR).all(axis=2) for tile in tiles]
        best = int(np.argmax([outline.sum() for outline in outlines]))
        row, column = (np.mean(places) for places in np.nonzero(outlines[best]))
        seen = column / width - 0.5, row / tiles[best].shape[0] - 0.5
        for edge, letter in enumerate(letter_at(tiles[best], edge) for edge in range(4)):
            along = seen[edge // 2] * (1 if edge % 2 else -1)  # towards that edge
            truly = offset @ TOWARDS[letter]
            assert abs(truly) < 12 or np.sign(along) == np.sign(truly)


def test_the_viewer_lies_over_the_lesion(processed):
    found = embed.embed(processed.finding.scan, processed.finding, 10**7)
    volume = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(found.volumes["error"])))
    marked = np.asarray(volume.dataobj) > found.about["start"]
    np.testing.assert_allclose(middle(marked, volume.affine), processed.place, atol=HALF_VOXEL)
    assert found.volumes["error"] in (processed.out / "report.html").read_text()


def test_the_segmentation_says_where(processed):
    (made,) = dicom_of(processed, "segmentation.dcm")
    assert processed.words in made.SegmentSequence[0].SegmentLabel
    shared = made.SharedFunctionalGroupsSequence[0]
    spacing = [float(size) for size in shared.PixelMeasuresSequence[0].PixelSpacing]
    rows, columns = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    places = []
    for frame, groups in zip(np.atleast_3d(made.pixel_array), made.PerFrameFunctionalGroupsSequence, strict=True):
        segment = (groups if "SegmentIdentificationSequence" in groups else shared).SegmentIdentificationSequence[0]
        if segment.ReferencedSegmentNumber == 1:
            corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            places += [corner + x * spacing[1] * rows + y * spacing[0] * columns for y, x in np.argwhere(frame)]
    np.testing.assert_allclose(FLIP @ np.mean(places, axis=0), processed.place, atol=HALF_VOXEL)


def test_the_structured_report_says_where(processed):
    (made,) = dicom_of(processed, "scores.dcm")
    texts = [element.value for element in made.iterall() if element.keyword == "TextValue"]
    assert f"Place: {processed.listed[0]['place']}" in texts
    assert f"{processed.finding.headline}." in texts
    assert processed.words in processed.finding.headline


def test_the_overlay_outlines_the_lesion(processed):
    images = dicom_of(processed, "overlay/*.dcm")
    places = []
    for image in images:
        rows, columns = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
        spacing, corner = np.array(image.PixelSpacing, float), np.array(image.ImagePositionPatient, float)
        for direction, letter in zip((rows, columns), image.PatientOrientation, strict=True):
            towards = TOWARDS[{"H": "S", "F": "I"}.get(letter, letter)]
            assert FLIP @ direction @ towards > 0.8
        outline = np.argwhere((image.pixel_array == pictures.CONTOUR).all(axis=2))
        places += [corner + x * spacing[1] * rows + y * spacing[0] * columns for y, x in outline]
    np.testing.assert_allclose(FLIP @ np.mean(places, axis=0), processed.place, atol=2 * HALF_VOXEL)
