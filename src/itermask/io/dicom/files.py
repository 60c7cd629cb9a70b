"""The headers of the MR images in a file, a folder or a zip; everything else is left out with the reason."""

from collections.abc import Sequence
from pathlib import Path

from itermask.io.dicom.copies import Copies
from itermask.io.dicom.header import MR_IMAGES, Header, NoImageError, read_header
from itermask.io.dicom.walk import DicomFile, LeftOut, find_dicom_files
from itermask.io.names import shown

__all__ = ["MR_IMAGES", "DicomFile", "Header", "LeftOut", "is_dicom", "read_headers"]


def is_dicom(path: Path) -> bool:
    """Return whether a path is for this module: a folder, a zip, or a file that starts as DICOM files do.

    Example:
        >>> is_dicom(folder), is_dicom(folder / "there-is-none.dcm")
        (True, False)
    """
    try:
        if path.is_dir():
            return True
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(132)
    except (OSError, ValueError):
        start = b""
    return start[128:] == b"DICM" or start[:4] == b"PK\x03\x04" or path.suffix.lower() in {".dcm", ".ima", ".zip"}


def read_headers(paths: Path | str | Sequence[Path | str]) -> tuple[list[Header], list[LeftOut]]:
    """Return the headers of all MR images below some paths.

    Args:
        paths: a folder (with all below it, links followed), a DICOM file, a zip, or several of these.

    Returns:
        the headers in the order of their names, and what was left out.

    Raises:
        InputError: a path does not exist or cannot be opened.
        MissingExtraError: pydicom is not installed.

    Example:
        >>> read_headers(folder)
        ([], [])
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    dicom_files, left_out = find_dicom_files(Path(path) for path in given)
    headers: list[Header] = []
    copies = Copies()
    for dicom_file in dicom_files:
        try:
            header = read_header(dicom_file)
        except NoImageError as error:
            left_out.append(LeftOut(shown(str(dicom_file)), str(error), error.lost))
            continue
        earlier = copies.earlier(header)
        if earlier is None:
            headers.append(header)
        else:
            left_out.append(LeftOut(shown(str(dicom_file)), f"another copy of {shown(earlier.name)}"))
    return headers, left_out
