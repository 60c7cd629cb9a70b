"""A DICOM node: receives series, processes each at once, shows verdicts live, sends results; needs the extra `node`."""
