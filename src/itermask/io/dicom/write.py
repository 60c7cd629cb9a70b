"""A finding as DICOM files: segmentation, overlay, report, key images and summary."""

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from itermask.errors import InputError
from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.identity import identify
from itermask.io.dicom.keys import key_images
from itermask.io.dicom.overlay import overlay_images
from itermask.io.dicom.scores import score_report
from itermask.io.dicom.segmentation import anomaly_segmentation
from itermask.io.dicom.series import Series
from itermask.io.dicom.sources import check_sources, source_headers
from itermask.io.dicom.summary import summary_document, summary_image
from itermask.io.result_folder import expect
from itermask.results.report.summary import summary_files
from itermask.types import Finding, Scan

FOLDER, SEGMENTATION, REPORT, OVERLAY = "dicom", "segmentation.dcm", "scores.dcm", "overlay"
KEYS = "key-images.dcm"
PAGE, DOCUMENT = "summary-page.dcm", "summary-pdf.dcm"
OURS = (SEGMENTATION, REPORT, OVERLAY, KEYS, PAGE, DOCUMENT)


def check_dicom(series: Series, out: Path | str) -> None:
    """Refuse what no DICOM results can be written of or to, before any work is done.

    Raises:
        InputError: the series lacks what results refer to, or `dicom` in the output folder holds other files.
        MissingExtraError: highdicom is not installed.
    """
    highdicom()
    check_sources(series)
    folder = Path(out) / FOLDER
    if folder.exists() and not _is_ours(folder):
        raise InputError(f"{folder}: holds other things than earlier results; move it away or choose another folder")


def write_dicom(scan: Scan, series: Series, finding: Finding, out: Path | str, summary: bool = True) -> Path:
    """Write `dicom/segmentation.dcm`, `dicom/scores.dcm` and `dicom/overlay/0001.dcm`, … into a folder.

    Beside them lies the finding on one page, `dicom/summary-page.dcm` and `dicom/summary-pdf.dcm`. Where anything is
    marked there is also `dicom/key-images.dcm`; where nothing is, `overlay` is empty.

    All is written to a temporary folder first, which then replaces earlier results. The same finding gives
    the same UIDs.

    Args:
        scan: that was processed.
        series: it was read from.
        finding: what was found, on the scan's grid.
        out: folder; made if needed.
        summary: whether the finding on one page is written too, which takes about a second.

    Returns:
        the folder `dicom`.

    Raises:
        InputError: see `check_dicom`; or a source file or the folder cannot be used.
        MissingExtraError: highdicom is not installed.
    """
    out = Path(out)
    check_dicom(series, out)
    headers = source_headers(series)
    identity = identify(series, finding)
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
    except OSError as error:
        raise InputError(f"{out}: cannot be used as output folder ({error.strerror})") from error
    try:
        made = partial / FOLDER
        (made / OVERLAY).mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names and values that stand so in the source
            segmentation = anomaly_segmentation(series, headers, finding, identity)
            _save(segmentation, made / SEGMENTATION)
            _save(score_report(series, headers, finding, segmentation, identity), made / REPORT)
            keys = key_images(series, headers, finding, identity)
            if keys is not None:
                _save(keys, made / KEYS)
            if summary:
                document, page = summary_files(scan, finding)
                _save(summary_image(headers, finding, page, identity), made / PAGE)
                _save(summary_document(headers, finding, document, identity), made / DOCUMENT)
            for image in overlay_images(scan, series, headers, finding, identity):
                _save(image, made / OVERLAY / f"{image.InstanceNumber:04d}.dcm")
        expect(out, made, FOLDER)
        _exchange(made, out / FOLDER, partial / "earlier")
    except OSError as error:
        raise InputError(f"{out}: cannot be written to ({error.strerror})") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # of a header's odd values
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{series.title}: its header is of no use for DICOM results ({why}); leave them out with --no-dicom"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out / FOLDER


def _save(dataset: Any, path: Path) -> None:
    dataset.save_as(path, enforce_file_format=True)


def _is_ours(folder: Path) -> bool:
    """Return whether a folder holds nothing but what `write_dicom` writes."""
    if not folder.is_dir() or any(path.name not in OURS for path in folder.iterdir()):
        return False
    overlay = folder / OVERLAY
    if not overlay.exists():
        return True
    return overlay.is_dir() and all(path.suffix == ".dcm" and path.stem.isdigit() for path in overlay.iterdir())


def _exchange(made: Path, target: Path, earlier: Path) -> None:
    """Replace a folder by another; if that fails, the earlier one stays."""
    if not target.exists():
        os.replace(made, target)
        return
    os.replace(target, earlier)
    try:
        os.replace(made, target)
    except BaseException:
        os.replace(earlier, target)
        raise
