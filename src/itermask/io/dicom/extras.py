"""The libraries of the extra `dicom`, imported when something is read or written."""

from types import ModuleType

from itermask.errors import MissingExtraError


def pydicom() -> ModuleType:
    """Import the library that reads DICOM files.

    Raises:
        MissingExtraError: not installed.

    Example:
        >>> pydicom().__name__
        'pydicom'
    """
    try:
        import pydicom as found
    except ImportError as error:
        raise MissingExtraError("pydicom is needed for DICOM: pip install 'itermask[dicom]'") from error
    return found


def highdicom() -> ModuleType:
    """Import the library that writes DICOM results.

    Raises:
        MissingExtraError: not installed.
    """
    try:
        import highdicom as found
        import highdicom.coding_schemes
        import highdicom.sc
        import highdicom.seg
        import highdicom.sr
    except ImportError as error:
        raise MissingExtraError("highdicom is needed for DICOM results: pip install 'itermask[dicom]'") from error
    return found
