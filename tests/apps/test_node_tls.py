"""Encrypted connections: both sides must show a certificate of the same authority."""

import shutil
import socket
import subprocess

import pytest
from tiny_node import HERE, associate, series, some_config

from itermask.apps.node.arrivals import Arrivals
from itermask.apps.node.config import Tls
from itermask.apps.node.database import Database
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.receive import Receiver
from itermask.apps.node.store import Store
from itermask.apps.node.tls import client_side, server_side
from itermask.errors import InputError

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificates, is not installed")


def openssl(*words):
    subprocess.run([OPENSSL, *map(str, words)], check=True, capture_output=True, timeout=120)


def authority(folder, name):
    """A certificate that signs others."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-subj", "/CN=ca")
    return folder / f"{name}.crt", folder / f"{name}.key"


def certificate(folder, name, ca):
    """A certificate for this machine, signed by an authority."""
    paths = {kind: folder / f"{name}.{kind}" for kind in ("key", "csr", "crt", "ext")}
    paths["ext"].write_text(f"subjectAltName=IP:{HERE}\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-new", *key, "-keyout", paths["key"], "-out", paths["csr"], "-subj", f"/CN={name}")
    signed = ("-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-extfile", paths["ext"])
    openssl("x509", "-req", "-in", paths["csr"], *signed, "-out", paths["crt"], "-days", "2")
    return Tls(paths["crt"], paths["key"], ca[0])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    own, other = authority(folder, "own-ca"), authority(folder, "other-ca")
    stranger = certificate(folder, "stranger", other)
    return {
        "node": certificate(folder, "node", own),
        "scanner": certificate(folder, "scanner", own),
        # A stranger that knows whom to trust, but whom nobody trusts.
        "stranger": Tls(stranger.certificate, stranger.key, own[0]),
    }


@pytest.fixture
def port(files, tmp_path):
    config = some_config(tmp_path / "node")
    database = Database(config.folder)
    store = Store(database, config.keep)
    outbox = Outbox(database, store, config)
    receiver = Receiver(config, store, Arrivals(), outbox, server_side(files["node"]))
    receiver.start()
    yield receiver.port
    receiver.stop()
    database.close()


def test_known_certificates_are_let_in(files, port):
    association = associate(port, tls_args=(client_side(files["scanner"]), HERE))
    assert association.is_established
    assert [association.send_c_store(image).Status for image in series()] == [0, 0, 0]
    association.release()


def test_strangers_plain_connections_and_silence_are_kept_out_and_hold_nobody_up(files, port, caplog):
    with socket.create_connection((HERE, port)):  # says nothing
        assert not associate(port, tls_args=(client_side(files["stranger"]), HERE)).is_established
        assert not associate(port).is_established
        association = associate(port, tls_args=(client_side(files["scanner"]), HERE))
        assert association.is_established
        association.release()
    said = [
        record.getMessage() for record in caplog.records if "no TLS, or no accepted certificate" in record.getMessage()
    ]
    assert len(said) == 2, "the stranger and the plain connection"
    assert all("from 127.0.0.1" in line for line in said)


def test_files_that_cannot_be_used(files, tmp_path):
    node = files["node"]
    with pytest.raises(InputError, match=r"none.crt: no such file; correct \[tls\]"):
        server_side(Tls(tmp_path / "none.crt", node.key, node.ca))
    text = tmp_path / "text.crt"
    text.write_text("no certificate")
    with pytest.raises(InputError, match="cannot be used for TLS"):
        client_side(Tls(text, node.key, node.ca))
