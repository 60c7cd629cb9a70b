"""Programs around the analysis of one scan: cohorts, the DICOM node, the viewer, the doctor."""
