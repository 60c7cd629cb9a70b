"""From a detection to what is said about a scan: scores, verdict, quality, regions, report."""
