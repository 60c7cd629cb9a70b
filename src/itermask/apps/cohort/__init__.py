"""Thousands of scans unattended: jobs, a manifest of what is done, workers, derivatives, tables and a page."""
