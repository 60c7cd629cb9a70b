"""Baselines: an error map from one pass and a fixed threshold."""
