"""Password, HTTPS and host names of a page."""

import base64
import http.client
import shutil
import ssl
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.apps.web.access import WRONG, Access, Gate, check_open, is_loopback, read_password
from itermask.apps.web.server import WHO, Answer, WebServer
from itermask.errors import InputError

HERE, PASSWORD = "127.0.0.1", "open sesame"


class Named(WebServer):
    """Shows who looks."""

    def get(self, path, headers):
        return Answer(headers[WHO].encode())


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(server, connection=None, **headers):
    connection = connection or http.client.HTTPConnection(HERE, server.port, timeout=60)
    connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


@pytest.fixture
def serve():
    made = []

    def begin(access):
        made.append(Named(HERE, 0, "", access))
        made[-1].start()
        return made[-1]

    yield begin
    for each in made:
        each.stop()


@pytest.fixture
def certified(tmp_path):
    """A certificate of this machine that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    paths = tmp_path / "node.crt", tmp_path / "node.key"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=node")
    where = ("-addext", f"subjectAltName=IP:{HERE}", "-out", paths[0], "-keyout", paths[1])
    subprocess.run(["openssl", *map(str, (*made, *where))], check=True, capture_output=True, timeout=120)
    return paths


def test_a_password_is_asked_for_and_tells_who_looks(serve):
    server = serve(Access(PASSWORD))
    status, headers, content = ask(server)
    assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert PASSWORD.encode() not in content
    assert ask(server, Authorization=basic("anna", "wrong"))[0] == 401
    assert ask(server, Authorization=basic("anna", PASSWORD), **{WHO[1:]: "eve"})[::2] == (200, b"anna")
    assert ask(serve(Access()))[::2] == (200, b"")


def test_an_address_that_guesses_has_to_wait(serve):
    server = serve(Access(PASSWORD))
    statuses = [ask(server, Authorization=basic("", str(number)))[0] for number in range(WRONG + 1)]
    assert statuses == [401] * WRONG + [429]
    assert ask(server, Authorization=basic("", PASSWORD))[0] == 429, "nor can it go on with the right one"
    gate = Gate(PASSWORD)
    for _ in range(WRONG):
        gate.name(basic("", "wrong"), "10.0.0.1")
    assert (gate.must_wait("10.0.0.1"), gate.must_wait("10.0.0.2")) == (True, False)


@given(said=st.text())
def test_no_odd_header_gets_in(said):
    assert Gate(PASSWORD).name(said, HERE) is None
    assert Gate(PASSWORD).name(f"Basic {said}", HERE) is None


def test_https(serve, certified):
    server = serve(Access(PASSWORD, *certified))
    assert server.address == f"https://{HERE}:{server.port}/"
    context = ssl.create_default_context(cafile=certified[0])
    connection = http.client.HTTPSConnection(HERE, server.port, timeout=60, context=context)
    assert ask(server, connection, Authorization=basic("anna", PASSWORD))[::2] == (200, b"anna")
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(server)  # without encryption


def test_a_silent_connection_does_not_keep_others_waiting(serve, certified):
    import socket

    server = serve(Access("", *certified))
    silent = [socket.create_connection((HERE, server.port)) for _ in range(5)]
    context = ssl.create_default_context(cafile=certified[0])
    connection = http.client.HTTPSConnection(HERE, server.port, timeout=10, context=context)
    assert ask(server, connection)[0] == 200
    for each in silent:
        each.close()


def test_further_host_names(serve):
    server = serve(Access(names=("Node.Hospital",)))
    assert ask(server, Host="node.hospital:8114")[0] == 200
    assert ask(server, Host="other.hospital:8114")[0] == 403


def test_other_machines_need_password_and_encryption(tmp_path):
    both = Access(PASSWORD, tmp_path / "crt", tmp_path / "key")
    for host in ("0.0.0.0", "::", "10.0.0.5"):
        assert not is_loopback(host)
        for access in (Access(), Access(PASSWORD), Access("", both.certificate, both.key)):
            with pytest.raises(InputError, match=r"page: .* can be reached from other machines.*or say --force"):
                check_open(host, access, "page", "--force")
        check_open(host, both, "page", "--force")
        check_open(host, Access(unprotected=True), "page", "--force")
    check_open(HERE, Access(), "page", "--force")
    with pytest.raises(InputError, match="HTTPS needs certificate and key"):
        check_open(HERE, Access("", both.certificate), "page", "--force")
    with pytest.raises(InputError, match="cannot be used for HTTPS"):
        Named(HERE, 0, "", both).start()


def test_the_file_of_a_password(tmp_path):
    path = tmp_path / "password"
    with pytest.raises(InputError, match="cannot be read"):
        read_password(path)
    path.write_text(f"{PASSWORD}\nmore\n")
    path.chmod(0o644)
    with pytest.raises(InputError, match="others can read the password; chmod 600 it"):
        read_password(path)
    path.chmod(0o600)
    assert read_password(path) == PASSWORD
    path.write_text("short\n")
    with pytest.raises(InputError, match="8 letters or more"):
        read_password(path)
