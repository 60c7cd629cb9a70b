"""The server of the page: what it shows lies below one folder, and all that can be changed is a rating.

Three things keep others out. The address holds a secret, so that nobody else on this machine can look without it. A
rating must come from the page itself: by its origin, and with a token that only the page holds. And a report runs in a
sandbox, as a page of nowhere: whatever its script does, it reaches neither the network nor the ratings.
"""

import hmac
import html
import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from itermask.apps.view.listing import Entry, list_scans
from itermask.apps.view.ratings import LONGEST, ChangedError, Ratings
from itermask.apps.view.thumbnails import thumbnail
from itermask.apps.web.access import OPEN, Access, check_open
from itermask.apps.web.files import inside, kind_of
from itermask.apps.web.server import WHO, Answer, WebServer, missing, tag_of
from itermask.errors import InputError
from itermask.results.report.theme import theme

PORT = 8115
LOOPBACK = "127.0.0.1"
ASSETS = {"page.css": "text/css", "page.js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; connect-src data: blob:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class ViewServer(WebServer):
    """Serves the page, the list of scans with their ratings, thumbnails, and files below the folder.

    Args:
        out: folder of the results.
        host: IP address to listen at, or `localhost`.
        port: 0 takes a free one.
        rater: who rates.
        own: whether only this rater's ratings are shown.
        access: password, HTTPS and further host names; with a password its user name says who rates.

    Raises:
        InputError: no such folder, or no results in it; a `ratings.tsv` that is no table of ratings; a host that is no
            address.
    """

    longest = 65_536

    def __init__(
        self,
        out: Path,
        host: str = LOOPBACK,
        port: int = PORT,
        rater: str = "unknown",
        own: bool = False,
        access: Access = OPEN,
    ) -> None:
        super().__init__(host, port, "choose another with --host or --port; --port 0 takes a free port", access)
        try:
            self.is_local = host == "localhost" or ip_address(host).is_loopback
        except ValueError as error:
            raise InputError(
                f"--host {host}: is not an IP address; give one of this machine's, or leave it out"
            ) from error
        check_open(host, access, "--host", "--unprotected")
        self.out, self.rater, self.own = out.resolve(), rater, own
        self._scans = self._listed()
        if not self._scans:
            raise InputError(f"{out}: no results of 'itermask run', 'cohort' or 'bids' in it; give their folder")
        self.ratings = Ratings(out)
        self.secret, self.token = secrets.token_urlsafe(12), secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """Where to look; nothing is shown without the secret in it."""
        return f"{super().address}{self.secret}/"

    def _listed(self) -> dict[str, Entry]:
        return {entry.scan: entry for entry in list_scans(self.out)}

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return the page, a part of it, the state, a thumbnail, or a file below the folder."""
        name = self._asked(path)
        if name is None:
            return Answer(b"open the address that 'itermask view' has told\n", status=HTTPStatus.NOT_FOUND)
        if name == "":
            return Answer(self._page(), "text/html", policy=POLICY)
        if name == "theme.css":
            return Answer(theme().encode(), "text/css", policy=POLICY)
        if name in ASSETS:
            return Answer(_asset(name), ASSETS[name], policy=POLICY)
        if name == "state.json":
            try:
                return _json(self.state(headers[WHO]))
            except InputError as error:  # of a folder or table that was changed meanwhile
                return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        folder, _, rest = name.partition("/")
        found = inside(self.out, rest) if folder in ("results", "thumbnails") and not _is_hidden(rest) else None
        if found is None:
            return missing()
        if folder == "results":
            return Answer(found.read_bytes(), kind_of(found), policy=REPORT_POLICY)
        picture = thumbnail(found) if found.suffix == ".html" else None
        return missing() if picture is None else Answer(picture, "image/png", tag=tag_of(picture))

    def post(self, path: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Keep a rating, if it comes from the page itself."""
        if self._asked(path) != "ratings":
            return _problem(HTTPStatus.NOT_FOUND, "The page is of an earlier start; open the new address.")
        if not self._is_from_page(headers):
            return _problem(HTTPStatus.FORBIDDEN, "This did not come from the page; load it again.")
        try:
            said = json.loads(content)
            scan, rating, comment, seen = (said[key] for key in ("scan", "rating", "comment", "seen"))
            if not all(isinstance(value, str) for value in (scan, rating, comment)) or type(seen) is not int:
                raise TypeError("not what the page sends")
        except (ValueError, KeyError, TypeError):
            return _problem(HTTPStatus.BAD_REQUEST, "This is not a rating.")
        if scan not in self._scans:
            self._scans = self._listed()
        if scan not in self._scans:
            return _problem(HTTPStatus.BAD_REQUEST, f"There is no scan {scan}.")
        try:
            rater = headers[WHO] or self.rater
            kept = self.ratings.save(scan, rating, comment, rater, seen, self.own)
        except ChangedError as error:
            now = None if error.now is None else vars(error.now)
            text = "It was rated in another tab or by somebody else meanwhile."
            return _json({"problem": text, "now": now, "version": error.version}, HTTPStatus.CONFLICT)
        except InputError as error:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except ValueError as error:
            return _problem(HTTPStatus.BAD_REQUEST, str(error))
        return _json(vars(kept) | {"version": seen + 1})

    def state(self, rater: str = "") -> dict[str, Any]:
        """Return what the page shows: `rater`, `scans` (the least normal first), `ratings` by scan, `longest`.

        Args:
            rater: who looks, if that is known; else the server's own rater.
        """
        self._scans = self._listed()
        rater = rater or self.rater
        ratings = self.ratings.last(rater if self.own else None)
        versions = self.ratings.versions(rater if self.own else None)
        return {
            "rater": rater,
            "longest": LONGEST,
            "scans": [entry.values() for entry in self._scans.values()],
            "ratings": {
                scan: vars(rating) | {"version": versions[scan]}
                for scan, rating in ratings.items()
                if scan in self._scans
            },
        }

    def _asked(self, path: str) -> str | None:
        """Return what is asked for; None without the secret."""
        told, slash, name = path.removeprefix("/").partition("/")
        return name if slash and hmac.compare_digest(told.encode(), self.secret.encode()) else None

    def _is_from_page(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request was sent by this server's own page."""
        return (
            headers.get("origin") == f"{self.scheme}://{headers.get('host')}"
            and headers.get("sec-fetch-site", "same-origin") == "same-origin"
            and headers.get("content-type") == "application/json"
            and hmac.compare_digest(headers.get("x-token", "").encode(), self.token.encode())
        )

    def _page(self) -> bytes:
        """Return the page, with its token."""
        text = _asset("page.html").decode()
        return text.replace("{{token}}", self.token).replace("{{folder}}", html.escape(self.out.name)).encode()


def _asset(name: str) -> bytes:
    return files("itermask.apps.view").joinpath("assets", name).read_bytes()


def _is_hidden(name: str) -> bool:
    """Return whether a path holds a name that begins with a dot: a file being written, or not meant to be seen."""
    return any(part.startswith(".") for part in name.split("/"))


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), "application/json", status)


def _problem(status: HTTPStatus, text: str) -> Answer:
    return _json({"problem": text}, status)
