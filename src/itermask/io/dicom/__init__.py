"""DICOM series in, and findings out as DICOM; needs the extra `dicom`."""
