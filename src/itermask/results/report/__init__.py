"""One finding as one page that a person can read, keep and print."""

from itermask.results.report.page import write_report

__all__ = ["write_report"]
