"""The small web server: what it takes and what it refuses before any page is asked."""

import http.client

import pytest

from itermask.apps.web.server import Answer, WebServer, tag_of
from itermask.errors import InputError

HERE = "127.0.0.1"


class Echo(WebServer):
    """Shows a path, and gives back what is sent."""

    longest = 10

    def get(self, path, headers):
        return Answer(path.encode(), tag=tag_of(path.encode()))

    def post(self, path, headers, content):
        return Answer(content)


@pytest.fixture
def server():
    made = Echo(HERE, 0, "choose another")
    made.start()
    yield made
    made.stop()


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(HERE, server.port, timeout=300)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_what_is_shown_has_a_policy_and_a_name(server):
    status, headers, content = ask(server, "GET", "/a%20b?c=d")
    assert (status, content) == (200, b"/a b")
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert ask(server, "GET", "/a%20b", If_None_Match=headers["ETag"])[::2] == (304, b"")
    assert ask(server, "GET", "/other", If_None_Match=headers["ETag"])[::2] == (200, b"/other")


def test_what_is_sent_must_be_short_and_of_known_length(server):
    assert ask(server, "POST", "/", b"0123456789")[::2] == (200, b"0123456789")
    assert ask(server, "POST", "/", b"")[::2] == (200, b"")
    assert ask(server, "POST", "/", b"0123456789+")[0] == 413
    assert ask(server, "POST", "/", Content_Length="-1")[0] == 411
    assert ask(server, "POST", "/", Content_Length="²")[0] == 411
    assert ask(server, "POST", "/", Transfer_Encoding="chunked")[0] == 411, "refused before any piece comes"
    assert ask(server, "PUT", "/", b"a")[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "192.0.2.1"])
def test_other_names_get_nothing(server, host):
    for method, body in (("GET", None), ("POST", b"a")):
        status, _, content = ask(server, method, "/", body, Host=host)
        assert status == 403
        assert b"another name" in content


def test_a_server_for_all_addresses_answers_to_any_address_but_no_name():
    made = Echo("0.0.0.0", 0, "")
    assert made.is_own_name("192.0.2.1:80")
    assert not made.is_own_name("evil.example:80")


def test_addresses(server):
    assert server.address == f"http://127.0.0.1:{server.port}/"
    assert Echo("::1", 80, "").address == "http://[::1]:80/"
    with pytest.raises(InputError, match=f"127.0.0.1 port {server.port}: the page cannot be served there .*; move"):
        Echo(HERE, server.port, "move").start()


def test_what_says_nothing_shows_nothing():
    plain = WebServer(HERE, 0, "")
    assert (plain.get("/", {}).status, plain.post("/", {}, b"").status) == (404, 501)
