"""The live page's server: what it shows, and that it shows nothing else to nobody else."""

import http.client
import json

import pytest
from tiny_node import HERE

from itermask.apps.node.config import Page
from itermask.apps.node.page import PageServer
from itermask.errors import InputError


@pytest.fixture
def server(tmp_path):
    (tmp_path / "results" / "a" / "run-1").mkdir(parents=True)
    (tmp_path / "results" / "a" / "run-1" / "report.html").write_text("<p>report</p>")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "results" / "link.txt").symlink_to(tmp_path / "secret.txt")
    made = PageServer(Page(port=0), lambda: {"rows": made.rows}, tmp_path / "results")
    made.rows = []
    made.start()
    yield made
    made.stop()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(HERE, server.port, timeout=300)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_the_page_loads_only_its_own_parts(server):
    status, headers, content = ask(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    text = content.decode()
    assert "http" not in text, "no address of anywhere else"
    assert 'aria-live="polite"' in text
    assert 'role="alert"' in text
    assert "For research use only" in text
    for path, kind in (("/theme.css", "text/css"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, headers, content = ask(server, path)
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert b"http" not in content
        assert b"innerHTML" not in content


def test_the_state_is_sent_when_it_has_changed(server):
    status, headers, content = ask(server, "/state.json")
    assert (status, json.loads(content)) == (200, {"rows": []})
    status, _, content = ask(server, "/state.json", If_None_Match=headers["ETag"])
    assert (status, content) == (304, b"")
    server.rows = [1]
    status, _, content = ask(server, "/state.json", If_None_Match=headers["ETag"])
    assert (status, json.loads(content)) == (200, {"rows": [1]})


def test_reports(server):
    status, headers, content = ask(server, "/results/a/run-1/report.html")
    assert (status, content) == (200, b"<p>report</p>")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, headers, content = ask(server, "/results/a/run-1/report.html", "HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", "13")


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/results/../secret.txt",
        "/results/%2e%2e/secret.txt",
        "/results/..%2fsecret.txt",
        "/results//../secret.txt",
        "/results/link.txt",
        "/results/",
        "/results/a",
        "/results/a/run-1/none.html",
        "/page.html",
    ],
)
def test_nothing_else_is_shown(server, path):
    status, _, content = ask(server, path)
    assert status == 404
    assert b"secret" not in content


def test_absolute_paths_are_not_shown(server, tmp_path):
    assert ask(server, f"/results/{tmp_path / 'secret.txt'}")[0] == 404


def test_nothing_can_be_changed(server):
    for method in ("POST", "PUT", "DELETE"):
        assert ask(server, "/state.json", method)[0] == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example", 403), ("evil.example:80", 403)],
)
def test_a_page_under_another_name_gets_nothing(server, host, status):
    assert ask(server, "/state.json", Host=host)[0] == status


def test_a_port_that_is_taken(server, tmp_path):
    with pytest.raises(InputError, match="the page cannot be served there"):
        PageServer(Page(port=server.port), dict, tmp_path).start()
