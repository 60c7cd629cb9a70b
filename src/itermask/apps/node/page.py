"""The live page: a small web server that shows, and changes nothing but who has seen what."""

import hmac
import html
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from itermask.apps.node.config import Page
from itermask.apps.web.files import inside, kind_of
from itermask.apps.web.server import WHO, Answer, WebServer, missing, tag_of
from itermask.results.report.theme import theme

LONGEST_NAME, LONGEST_WORDS = 60, 200
OWN = {
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
        seen: keeps that somebody has seen what is said of a run, see `itermask.apps.node.runs.Runs.seen`.
        audit: gives the audit log's lines.

    Raises:
        InputError: other machines could look without password and HTTPS, or the password cannot be read.
    """

    longest = 4096

    def __init__(
        self,
        page: Page,
        state: Callable[[], dict[str, Any]],
        results: Path,
        seen: Callable[[int, str, str], bool] = lambda run, verdict, name: False,
        audit: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        super().__init__(page.address, page.port, "choose another address or port under [page]", page.access())
        self._state, self._results, self._seen, self._audit = state, results, seen, audit
        self.token = secrets.token_urlsafe(24)

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer with a page, a part of it, the state, the audit log, or a result."""
        if path == "/":
            text = files("itermask.apps.node").joinpath("live", "page.html").read_text(encoding="utf-8")
            text = text.replace("{{token}}", self.token).replace("{{who}}", html.escape(headers[WHO]))
            return Answer(text.encode(), "text/html", policy=POLICY)
        if path == "/audit.tsv":
            return Answer("".join(f"{line}\n" for line in self._audit()).encode(), "text/tab-separated-values")
        if path == "/state.json":
            content = json.dumps(self._state(), ensure_ascii=False, allow_nan=False).encode()
            return Answer(content, "application/json", policy=POLICY, tag=tag_of(content))
        if path == "/theme.css":
            return Answer(theme().encode(), "text/css", policy=POLICY)
        if path in OWN:
            name, kind = OWN[path]
            return Answer(files("itermask.apps.node").joinpath("live", name).read_bytes(), kind, policy=POLICY)
        if path.startswith("/results/") and (found := inside(self._results, path.removeprefix("/results/"))):
            if found.suffix == ".dcm" and not self.access.password:  # they name the patient
                return missing()
            return Answer(found.read_bytes(), kind_of(found), policy=REPORT_POLICY)
        return missing()

    def post(self, path: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Keep that somebody has seen an alarm, if it comes from the page itself."""
        if path != "/seen":
            return Answer(status=HTTPStatus.NOT_IMPLEMENTED)
        if not self._is_from_page(headers):
            return Answer(b"this did not come from the page; load it again\n", status=HTTPStatus.FORBIDDEN)
        try:
            said = json.loads(content)
            run, verdict, name = said["run"], said["verdict"], said.get("name", "")
            if type(run) is not int or not all(isinstance(text, str) for text in (verdict, name)):
                raise TypeError("not what the page sends")
        except (ValueError, KeyError, TypeError, AttributeError):
            return Answer(b"this is nothing that can be seen\n", status=HTTPStatus.BAD_REQUEST)
        name = headers[WHO] or " ".join("".join(filter(str.isprintable, name)).split())[:LONGEST_NAME]
        return Answer(b"kept\n") if self._seen(run, verdict[:LONGEST_WORDS], name) else missing()

    def _is_from_page(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request was sent by this server's own page."""
        return (
            headers.get("origin") == f"{self.scheme}://{headers.get('host')}"
            and headers.get("sec-fetch-site", "same-origin") == "same-origin"
            and headers.get("content-type") == "application/json"
            and hmac.compare_digest(headers.get("x-token", "").encode(), self.token.encode())
        )
