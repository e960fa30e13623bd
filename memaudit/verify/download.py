"""Training pictures from the URLs of a dataset: strangers wrote them, so nothing but public web servers is asked, and
for little.

A host name is resolved once, every address of it is checked, and the connection goes to the address that was checked:
a name that answers differently the second time gains nothing. Proxies of the environment are not used, for the same
reason. No cookies, no credentials.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from memaudit import __version__
from memaudit.store import write_atomically
from memaudit.verify.decoding import Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PORTS_BELOW_1024 = frozenset({80, 443})  # no mail servers and the like
CHUNK = 1 << 16
HEADERS = {"User-Agent": f"memaudit/{__version__}", "Accept": "image/*", "Connection": "close"}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address in its last 32 bits


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; one that stands for or carries an IPv4 address only if that
    does."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        stands_for = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped
        if stands_for is not None:
            return is_public(str(stands_for))
        if not all(is_public(str(carried)) for carried in (ip.sixtofour, *(ip.teredo or ())) if carried is not None):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


@dataclass(frozen=True)
class Limits:
    """What one picture may cost."""

    n_bytes: int = 20 << 20
    connecting: float = 5.0  # seconds
    waiting: float = 10.0  # seconds without a byte
    deadline: float = 30.0  # seconds in all, redirects included
    redirects: int = 3
    failures: int = 3  # of a host in a row, after which it is not asked again


class _Place(NamedTuple):
    """Where a URL leads: `address` is the checked one."""

    secure: bool
    host: str
    port: int
    path: str
    address: str


@dataclass
class Downloads:
    """Pictures by URL; a call may come from several threads.

    allowed: what addresses may be asked. cache: a folder for what arrived, by the hash of its URL; None keeps nothing.
    """

    limits: Limits = field(default_factory=Limits)
    allowed: Callable[[str], bool] = is_public
    cache: Path | None = None
    _failed: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def fetch_all(self, urls: Sequence[str], threads: int = 8) -> Iterator[bytes | Unusable]:
        """The bytes behind each URL, in order, or why there are none. At most 2 * threads answers wait in memory."""
        waiting: deque[Future[bytes | Unusable]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for url in urls:
                    waiting.append(pool.submit(self._fetched, url))
                    if len(waiting) >= 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _fetched(self, url: str) -> bytes | Unusable:
        try:
            return self.fetch(url)
        except Unusable as error:
            return error

    def fetch(self, url: str) -> bytes:
        """The bytes behind a URL, at most `limits.n_bytes`; whether they are a picture is for its decoder to say.

        Raises Unusable. The system's look-up of a name is the one step that `limits.deadline` does not cut short.
        """
        kept = None if self.cache is None else self.cache / hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
        if kept is not None and kept.is_file() and kept.stat().st_size <= self.limits.n_bytes:
            return kept.read_bytes()
        data = self._follow(url, time.monotonic() + self.limits.deadline)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, data)
        return data

    def _follow(self, url: str, deadline: float) -> bytes:
        for _ in range(self.limits.redirects + 1):
            place = self._place(url)
            try:
                found = _ask(place, self.limits, deadline)
            except TimeoutError as error:
                self._note(place.host, failed=True)
                raise Unusable("download timed out") from error
            except ssl.SSLError as error:
                raise Unusable("no secure connection") from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._note(place.host, failed=True)
                raise Unusable("download failed") from error
            self._note(place.host, failed=False)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise Unusable("too many redirects")

    def _place(self, url: str) -> _Place:
        """Where a URL leads, once everything about it is checked. Raises Unusable."""
        try:
            parts = urlsplit(url.strip())
            secure, host, port = parts.scheme == "https", parts.hostname or "", parts.port
            name = host if ":" in host else host.encode("idna").decode("ascii")
        except (ValueError, UnicodeError) as error:
            raise Unusable("not a valid URL") from error
        if parts.scheme not in ("http", "https"):
            raise Unusable("neither http nor https")
        if not name or parts.username is not None or parts.password is not None:
            raise Unusable("not a valid URL")
        port = port or (443 if secure else 80)
        if port < 1024 and port not in PORTS_BELOW_1024:
            raise Unusable("not a web server's port")
        if self._failed[name] >= self.limits.failures:
            raise Unusable("host does not answer")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]")
        return _Place(secure, name, port, f"{path}?{query}" if query else path, self._address(name, port))

    def _address(self, name: str, port: int) -> str:
        """The first address of a host, all of which must be allowed: 0x7f.1 and 2130706433 are resolved as well."""
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, ValueError) as error:
            raise Unusable("host not found") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(self.allowed(address) for address in addresses):
            raise Unusable("address is not public")
        return addresses[0]

    def _note(self, host: str, failed: bool) -> None:
        with self._lock:
            self._failed[host] = self._failed[host] + 1 if failed else 0


class _Timed(io.RawIOBase):
    """What a socket receives, with a deadline over all of it: a server that drips a byte a second gains nothing."""

    def __init__(self, sock: socket.socket, waiting: float, deadline: float) -> None:
        self._sock, self._waiting, self._deadline = sock, waiting, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._waiting, self._deadline))
        return self._sock.recv_into(buffer)


class _Wire:
    """As much of a socket as `http.client` uses."""

    def __init__(self, sock: socket.socket, limits: Limits, deadline: float) -> None:
        self._sock, self._waiting, self._deadline = sock, limits.waiting, deadline

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._waiting, self._deadline))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002
        return io.BufferedReader(_Timed(self._sock, self._waiting, self._deadline))

    def close(self) -> None:
        """Whoever opened the socket closes it."""


def _left(most: float, deadline: float) -> float:
    left = min(most, deadline - time.monotonic())
    if left <= 0:
        raise TimeoutError
    return left


def _ask(place: _Place, limits: Limits, deadline: float) -> bytes | str:
    """One request: the body, or where the server points to. Raises Unusable, OSError, HTTPException."""
    with socket.create_connection((place.address, place.port), _left(limits.connecting, deadline)) as plain:
        sock = plain
        if place.secure:
            plain.settimeout(_left(limits.connecting, deadline))
            sock = ssl.create_default_context().wrap_socket(plain, server_hostname=place.host)
        with sock:
            connection = http.client.HTTPConnection(place.host, place.port)
            connection.default_port = 443 if place.secure else 80
            connection.sock = _Wire(sock, limits, deadline)
            connection.request("GET", place.path, headers=HEADERS)
            with connection.getresponse() as answer:
                return _body(answer, limits)


def _body(answer: http.client.HTTPResponse, limits: Limits) -> bytes | str:
    if answer.status in REDIRECTS and (target := answer.getheader("Location")):
        return target
    if answer.status != 200:
        raise Unusable(f"HTTP {answer.status}")
    if (answer.getheader("Content-Encoding") or "identity").lower() != "identity":
        raise Unusable("compressed answer")  # a few bytes could unpack to any number
    if (answer.length or 0) > limits.n_bytes:
        raise Unusable("download too large")
    expected, data = answer.length, bytearray()
    while chunk := answer.read1(CHUNK):
        data += chunk
        if len(data) > limits.n_bytes:
            raise Unusable("download too large")
    if expected is not None and len(data) < expected:
        raise Unusable("download cut off")
    return bytes(data)
