"""A local page over a folder of results: the scans, their reports, and ratings by a reader."""
