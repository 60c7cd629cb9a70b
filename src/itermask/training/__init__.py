"""Training: data tables, prepared-scan cache, augmentation, the loop, checkpoints, calibration."""
