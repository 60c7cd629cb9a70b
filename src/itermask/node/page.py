"""The live page: a small web server that shows and never changes anything; by default for this machine only."""

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from itermask.node.config import Page
from itermask.web.files import inside, kind_of
from itermask.web.server import Answer, WebServer, missing, tag_of

OWN = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'"
)
# A report may hold its own scripts and pictures, and load what lies beside it; nothing from elsewhere.
REPORT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'none'"
)


class PageServer(WebServer):
    """Serves the page, its state as JSON, and the reports.

    Args:
        page: address and port.
        state: gives what the page shows.
        results: folder of the results.
    """

    def __init__(self, page: Page, state: Callable[[], dict[str, Any]], results: Path) -> None:
        super().__init__(page.address, page.port, "choose another address or port under [page]")
        self._state, self._results = state, results

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """A page, a part of it, the state, or a result."""
        if path == "/state.json":
            content = json.dumps(self._state(), ensure_ascii=False, allow_nan=False).encode()
            return Answer(content, "application/json", policy=POLICY, tag=tag_of(content))
        if path in OWN:
            name, kind = OWN[path]
            return Answer(files("itermask.node").joinpath("live", name).read_bytes(), kind, policy=POLICY)
        if path.startswith("/results/") and (found := inside(self._results, path.removeprefix("/results/"))):
            return Answer(found.read_bytes(), kind_of(found), policy=REPORT_POLICY)
        return missing()
