"""The colours of every page, light and dark: the report, the group's page, the node's and that of `itermask view`."""

from functools import cache
from importlib.resources import files


@cache
def theme() -> str:
    """Return the style sheet that all pages begin with; it is dark on screens where the browser is, never on paper.

    Example:
        >>> "prefers-color-scheme: dark" in theme()
        True
    """
    return files("itermask.results.report").joinpath("assets", "theme.css").read_text(encoding="utf-8")
