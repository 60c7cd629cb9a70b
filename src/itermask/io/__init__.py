"""The outside world: scans from files, findings to files."""
