"""The values of a DICOM header: what cannot be read is taken out and named, so that it costs no image."""

from typing import Any

# Without these an image has no place, no size or no intensities.
ESSENTIAL = {
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "Rows", "Columns", "NumberOfFrames",
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
}  # fmt: skip


def drop_unusable(dataset: Any) -> set[str]:
    """Take all elements whose values cannot be read out of a header and of the sequences in it.

    Args:
        dataset: a pydicom `Dataset`; changed.

    Returns:
        keywords of the elements taken out; of private ones the tag, such as `(0043,1039)`.

    Example:
        >>> from pydicom import Dataset
        >>> header = Dataset()
        >>> header.Rows = 256
        >>> drop_unusable(header)
        set()
    """
    dropped: set[str] = set()
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            value = element.value
            if element.VR == "SQ":
                for item in value or ():
                    dropped |= drop_unusable(item)
            else:
                str(value)  # names and texts are decoded only now
        except Exception:  # whatever damage does to a reader
            del dataset[tag]
            dropped.add(_keyword(tag))
    return dropped


def _keyword(tag: Any) -> str:
    """Return an element's keyword, or its tag where it has none."""
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({int(tag) >> 16:04x},{int(tag) & 0xFFFF:04x})"


def number(value: Any) -> float | None:
    r"""Return a value, or the first of several, as number; None where it is none.

    Private elements of files in implicit VR come as bytes, which hold text.

    >>> number(b"1000000700\\8\\0\\0 ")
    1000000700.0
    >>> number([2.5, 3]), number("ab.c"), number(None)
    (2.5, None, None)
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip("\0 ").split("\\")[0]
    elif value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        found = None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found is not None and abs(found) < float("inf") else None


def whole(value: Any) -> int | None:
    """Return a value, or the first of several, as whole number; None where it is none.

    >>> whole("12"), whole("1.5"), whole("")
    (12, None, None)
    """
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """Return `count` numbers, or None where there are not as many.

    >>> numbers([1, "2.5"], 2), numbers([1, 2], 3), numbers("1", 1)
    ((1.0, 2.5), None, None)
    """
    if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or len(value) != count:
        return None
    found = [number(each) for each in value]
    return None if None in found else tuple(each for each in found if each is not None)


def text(value: Any) -> str:
    """Return a value, or the first of several, as text on one line; empty for None.

    >>> text(" MPRAGE "), text(["T1", "T2"]), text(None)
    ('MPRAGE', 'T1', '')
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    elif value is not None and not isinstance(value, str) and hasattr(value, "__getitem__"):
        value = value[0] if len(value) else None
    if value is None:
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in str(value)).split())


def texts(value: Any) -> tuple[str, ...]:
    """Return a value or several as texts.

    >>> texts("SE"), texts(["ORIGINAL", "PRIMARY"]), texts(None)
    (('SE',), ('ORIGINAL', 'PRIMARY'), ())
    """
    if value is None:
        return ()
    return (str(value),) if isinstance(value, (str, bytes)) else tuple(str(each) for each in value)
