"""Metrics: pure functions of masks, error maps and labels."""
