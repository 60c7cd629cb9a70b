"""Who may see a page: a password, encryption, and the names under which the page answers.

The password is asked for by the browser itself (HTTP Basic), whose user name says who looks. Beyond this machine a page
needs both, as a password that travels in clear is none.
"""

import base64
import binascii
import hmac
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from itermask.errors import InputError

SHORTEST = 8  # letters of a password
WRONG, PERIOD = 10, 60.0  # wrong passwords from one address within so many seconds, after which it has to wait
MOST = 1000  # addresses whose wrong passwords are counted
LONGEST_NAME = 60


@dataclass(frozen=True)
class Access:
    """How a page is protected.

    Attributes:
        password: that is asked for; "" for none.
        certificate: file of the certificate for HTTPS, in PEM; None for plain HTTP.
        key: file of its key.
        names: further host names under which the page answers.
        unprotected: whether other machines may look without password or encryption all the same.
    """

    password: str = ""
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
    unprotected: bool = False


OPEN = Access()


def read_password(path: Path) -> str:
    r"""Return the first line of a file that only its owner can read.

    Raises:
        InputError: there is no such file, others can read it, or the password is too short.

    Example:
        >>> _ = (folder / "password").write_text("four words are enough\n")
        >>> (folder / "password").chmod(0o600)
        >>> read_password(folder / "password")
        'four words are enough'
    """
    try:
        open_to_others = path.stat().st_mode & 0o077
        first = next(iter(path.read_text(encoding="utf-8").splitlines()), "")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the password cannot be read ({error})") from error
    if open_to_others:
        raise InputError(f"{path}: others can read the password; chmod 600 it")
    if len(first) < SHORTEST:
        raise InputError(f"{path}: a password has {SHORTEST} letters or more; write a longer one")
    return first


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own, so that no other one reaches it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_open(host: str, access: Access, where: str, force: str) -> None:
    """Refuse a page that other machines could read without password and encryption.

    Args:
        host: address that is listened at.
        access: how the page is protected.
        where: what messages begin with.
        force: what to say to open it all the same.

    Raises:
        InputError: it is not protected, and nobody said that it need not be; or a file of HTTPS is missing.
    """
    if (access.certificate is None) != (access.key is None):
        raise InputError(f"{where}: HTTPS needs certificate and key; give both")
    protected = access.password and access.certificate is not None
    if not (is_loopback(host) or protected or access.unprotected):
        raise InputError(
            f"{where}: {host} can be reached from other machines, which needs a password, a certificate and its key; "
            f"give them, stay at 127.0.0.1, or say {force}"
        )


def https(access: Access) -> ssl.SSLContext | None:
    """Return the context of HTTPS; None without a certificate.

    Raises:
        InputError: certificate or key cannot be used.
    """
    if access.certificate is None or access.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(access.certificate, access.key)
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{access.certificate}, {access.key}: cannot be used for HTTPS ({error})") from error
    return context


class Gate:
    """Asks for the password, and lets an address wait that has guessed too often."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def must_wait(self, address: str) -> bool:
        """Return whether an address has given too many wrong passwords lately."""
        with self._lock:
            times = self._wrong.get(address)
            return times is not None and len(times) == WRONG and time.monotonic() - times[0] < PERIOD

    def name(self, authorization: str, address: str) -> str | None:
        """Return the user name of whoever knows the password, "" where none is asked for; None for all others.

        Args:
            authorization: header of the request.
            address: it came from.
        """
        if not self._password:
            return ""
        kind, _, said = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(said.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        if kind.lower() == "basic" and hmac.compare_digest(password, self._password):
            plain = user.decode("utf-8", "replace")
            return "".join(letter for letter in plain if letter.isprintable()).strip()[:LONGEST_NAME]
        with self._lock:
            if len(self._wrong) > MOST:
                self._wrong.clear()
            self._wrong.setdefault(address, deque(maxlen=WRONG)).append(time.monotonic())
        return None
