"""Files with one SOP instance UID: copies of an image, or images that a faulty export has given the same name."""

import hashlib

from itermask.errors import InputError
from itermask.io.dicom.decode import decode
from itermask.io.dicom.header import Header
from itermask.io.dicom.values import text
from itermask.io.dicom.walk import DicomFile

# Two images with the same pixels are one only if they agree in these as well: the pixels of empty slices are all alike.
SAME = """
    PatientID PatientName ImagePositionPatient ImageOrientationPatient PixelSpacing Rows Columns NumberOfFrames
    RescaleSlope RescaleIntercept SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
"""


class Copies:
    """Which files hold an image that was there before; pixels are read only where a UID comes again."""

    def __init__(self) -> None:
        self._first: dict[str, Header] = {}
        self._first_files: dict[tuple[str, bytes], DicomFile] = {}

    def earlier(self, header: Header) -> DicomFile | None:
        """Return the file that a further one is a copy of; None if it is new, or only its UID is not."""
        uid = text(header.values.get("SOPInstanceUID"))
        first = self._first.setdefault(uid, header)
        if first is header:
            return None
        self._first_files.setdefault((uid, _digest(first)), first.dicom_file)
        dicom_file = self._first_files.setdefault((uid, _digest(header)), header.dicom_file)
        return None if dicom_file == header.dicom_file else dicom_file


def _digest(header: Header) -> bytes:
    """Return a hash of what an image shows and where."""
    digest = hashlib.sha256()
    for keyword in SAME.split():
        digest.update(f"{keyword}={header.values.get(keyword)}\n".encode("utf-8", "replace"))
    try:
        pixels = decode(header.dicom_file, header.stored)
        digest.update(f"{pixels.shape}".encode() + pixels.astype("<f8").tobytes())
    except (InputError, ValueError):
        with header.dicom_file.open() as file:
            digest.update(file.read())
    return digest.digest()
