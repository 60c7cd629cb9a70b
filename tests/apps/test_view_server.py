"""The server of the page: what it shows and to whom, and that only the page itself can rate."""

import base64
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tiny_view import HERE, ask, record, write_cohort

from itermask.apps.view.ratings import NAME, ChangedError, Ratings
from itermask.apps.view.server import ViewServer
from itermask.apps.web.access import Access
from itermask.errors import InputError
from itermask.types import VERDICTS

SAID = {"scan": "a", "rating": "good", "comment": "", "seen": 0}


@pytest.fixture
def out(tmp_path):
    made = tmp_path / "study <b>"
    write_cohort(
        made,
        record("a", 1.5, outputs=["a.html"]),
        record("b", 6.3, VERDICTS[2], outputs=["sub #1/b.html"]),
        record("c", reason="c.nii.gz: truncated"),
    )
    (tmp_path / "secret.html").write_text("secret")
    (made / "link.html").symlink_to(tmp_path / "secret.html")
    (made / "up").symlink_to(tmp_path)
    (made / ".part").mkdir()
    (made / ".part" / "half.html").write_text("secret")
    return made


@pytest.fixture
def server(out):
    made = ViewServer(out, port=0, rater="me")
    made.start()
    yield made
    made.stop()


def rate(server, said=SAID, token=None, **changes):
    """Status and what is told, of a rating that is sent as the page sends it unless changed."""
    headers = {
        "Content_Type": "application/json",
        "Origin": f"http://{HERE}:{server.port}",
        "X_Token": server.token if token is None else token,
    }
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = {name: value for name, value in (headers | changes).items() if value is not None}
    status, _, content = ask(server, "/ratings", "POST", body, **headers)
    return status, json.loads(content)


def test_the_page_loads_only_its_own_parts(server):
    status, headers, content = ask(server, "/")
    text = content.decode()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in text, "no address of anywhere else"
    assert "study &lt;b&gt;" in text
    assert server.token in text
    assert "For research use only" in text
    for path, kind in (("/theme.css", "text/css"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, headers, content = ask(server, path)
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert not re.search(rb"http|innerHTML|eval\(", content)


def test_the_state(server):
    assert rate(server, SAID | {"comment": "fine"})[0] == 200
    state = json.loads(ask(server, "/state.json")[2])
    assert [scan["scan"] for scan in state["scans"]] == ["b", "a", "c"], "the least normal first"
    assert state["scans"][2]["reason"] == "c.nii.gz: truncated"
    assert state["rater"] == "me"
    assert {scan: (one["rating"], one["comment"]) for scan, one in state["ratings"].items()} == {"a": ("good", "fine")}


def test_reports_run_in_a_sandbox(server):
    status, headers, content = ask(server, "/results/sub%20%231/b.html")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<p>b</p>" in content
    policy = headers["Content-Security-Policy"]
    assert "sandbox allow-scripts;" in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "frame-ancestors 'self'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "//", "//state.json", "//results/a.html", "//wrong/state.json", "//wrong/results/a.html", "/results/",
        "/results/../secret.html", "/results/%2e%2e/secret.html", "/results/..%2fsecret.html", "/results/link.html",
        "/results/up/secret.html", "/results/.part/half.html", "/results/sub%20%231", "/results/none.html",
        "/thumbnails/../secret.html", "/thumbnails/link.html", "/thumbnails/a.html", "/thumbnails/manifest/a.json",
        "/page.html", "/ratings", "/results/a.html%00", "/..", "/results//etc/passwd",
    ],
)  # fmt: skip
def test_nothing_else_is_shown(server, path):
    status, _, content = ask(server, path)
    assert status == 404
    assert b"secret" not in content
    assert server.secret.encode() not in content


def test_absolute_paths_are_not_shown(server, out):
    assert ask(server, f"/results/{out.parent / 'secret.html'}")[0] == 404


def test_ratings_are_on_the_disk_and_survive_a_restart(server, out):
    for seen, rating in enumerate(("bad", "unsure")):
        status, told = rate(server, {"scan": "b", "rating": rating, "comment": "one\ttwo\nthree", "seen": seen})
        assert (status, told["rating"], told["rater"]) == (200, rating, "me")
    assert len((out / NAME).read_text().splitlines()) == 3
    again = ViewServer(out, port=0, rater="me")
    assert again.state()["ratings"]["b"]["rating"] == "unsure"
    assert again.state()["ratings"]["b"]["comment"] == "one\ttwo\nthree"
    assert (again.secret, again.token) != (server.secret, server.token)


def test_of_many_ratings_at_once_one_is_kept(server, out):
    comments = [str(number) for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda comment: rate(server, SAID | {"comment": comment}), comments))
    assert sorted(status for status, _ in answers) == [200] + [409] * 23, "the others are asked"
    (kept,) = Ratings(out).all()
    assert {told["now"]["comment"] for status, told in answers if status == 409} == {kept.comment}


def test_a_stale_tab_overwrites_nothing_unasked(server, out):
    assert rate(server, SAID | {"comment": "mine"})[1]["version"] == 1
    Ratings(out).save("a", "bad", "theirs", "anna")
    status, told = rate(server, SAID | {"rating": "unsure", "seen": 1})
    assert (status, told["version"], told["now"]["rater"], told["now"]["comment"]) == (409, 2, "anna", "theirs")
    assert Ratings(out).last()["a"].rating == "bad"
    assert rate(server, SAID | {"rating": "unsure", "seen": told["version"]})[0] == 200, "whoever was asked may"
    assert json.loads(ask(server, "/state.json")[2])["ratings"]["a"]["version"] == 3


def test_a_rater_of_own_is_not_disturbed_by_others(out):
    ratings = Ratings(out)
    ratings.save("a", "bad", "", "first")
    assert ratings.save("a", "good", "", "second", seen=0, own=True).rating == "good"
    with pytest.raises(ChangedError):
        ratings.save("a", "good", "", "second", seen=0, own=True)


def test_the_user_name_of_a_password_says_who_rates(out):
    server = ViewServer(out, port=0, rater="me", access=Access("open sesame"))
    server.start()
    try:
        assert ask(server, "/state.json")[0] == 401
        asked = "Basic " + base64.b64encode(b"anna:open sesame").decode()
        status, told = rate(server, Authorization=asked)
        assert (status, told["rater"]) == (200, "anna")
        assert json.loads(ask(server, "/state.json", Authorization=asked)[2])["rater"] == "anna"
    finally:
        server.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"token": ""}, {"token": "wrong"}, {"token": "é"}, {"X_Token": None},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": None}, {"Origin": "http://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
        {"Content_Type": "text/plain"}, {"Content_Type": None}, {"Host": "evil.example"},
    ],
)  # fmt: skip
def test_only_the_page_itself_can_rate(server, out, changes):
    if "Host" in changes:
        assert ask(server, "/ratings", "POST", b"{}", **changes)[0] == 403
    else:
        assert rate(server, **changes)[0] == 403
    assert not (out / NAME).exists()


def test_a_rating_needs_the_secret_too(server, out):
    headers = {"Content_Type": "application/json", "Origin": f"http://{HERE}:{server.port}", "X_Token": server.token}
    for path in ("//ratings", "//wrong/ratings", "/state.json", "/"):
        assert ask(server, path, "POST", json.dumps(SAID).encode(), **headers)[0] == 404
    assert not (out / NAME).exists()


@pytest.mark.parametrize(
    "said",
    [
        b"", b"{", b"[]", b"\xff", b"1", {}, SAID | {"rating": "great"}, SAID | {"rating": 1}, SAID | {"scan": "none"},
        SAID | {"scan": None}, SAID | {"comment": "x" * 4001}, {"scan": "a", "rating": "good"},
        SAID | {"seen": None}, SAID | {"seen": "0"}, SAID | {"seen": True},
    ],
)  # fmt: skip
def test_what_is_no_rating_is_refused_with_words(server, out, said):
    status, told = rate(server, said)
    assert status == 400
    assert told["problem"]
    assert not (out / NAME).exists()


def test_a_scan_that_came_after_the_start_can_be_rated(server, out):
    write_cohort(out, record("d", 1.0, outputs=["d.html"]))
    assert rate(server, SAID | {"scan": "d"})[0] == 200


def test_what_cannot_be_kept_is_said(server, out):
    (out / NAME).write_text("no table")
    status, told = rate(server)
    assert (status, "no table of ratings" in told["problem"]) == (500, True)
    status, _, content = ask(server, "/state.json")
    assert (status, b"no table of ratings" in content) == (500, True)
    assert (out / NAME).read_text() == "no table"


def test_a_rater_of_own_is_not_led_by_others(out):
    Ratings(out).save("a", "bad", "", "first")
    assert ViewServer(out, port=0, rater="second", own=True).state()["ratings"] == {}
    assert ViewServer(out, port=0, rater="second").state()["ratings"]["a"]["rating"] == "bad"


def test_refusals(tmp_path, out):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no results of 'itermask run', 'cohort' or 'bids' in it"):
        ViewServer(tmp_path / "empty")
    with pytest.raises(InputError, match="--host elsewhere: is not an IP address"):
        ViewServer(out, host="elsewhere")
    assert all(ViewServer(out, host=host).is_local for host in ("127.0.0.1", "localhost", "::1"))
    with pytest.raises(InputError, match=r"0.0.0.0 can be reached from other machines"):
        ViewServer(out, host="0.0.0.0")
    assert not ViewServer(out, host="0.0.0.0", access=Access(unprotected=True)).is_local


def test_it_starts_without_the_libraries_that_compute():
    code = "import sys, itermask.apps.view.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
