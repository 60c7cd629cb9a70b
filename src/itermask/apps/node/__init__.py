"""A DICOM node: receives series, looks at each at once, shows verdicts live, sends results; needs the extra `node`."""
