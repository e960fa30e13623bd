"""Downloads: only public web servers, little of everything, and each failure a reason. The server is on this machine,
so these tests allow what is refused by default."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from memaudit.verify.decoding import Unusable
from memaudit.verify.download import Downloads, Limits, is_public

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE = (
    *("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "ff0e::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        name, _, value = self.path.strip("/").partition("/")
        self.value = value
        getattr(self, f"serve_{name}", self.serve_missing)()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, text in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def serve_ok(self) -> None:
        self.answer(200, b"picture " + self.value.encode())

    def serve_missing(self) -> None:
        self.answer(404)

    def serve_to(self) -> None:
        self.answer(302, Location=unquote(self.value))

    def serve_hops(self) -> None:
        self.answer(301, Location=f"/hops/{int(self.value) - 1}" if int(self.value) else "/ok/there")

    def serve_loop(self) -> None:
        self.answer(307, Location="/loop")

    def serve_big(self) -> None:
        self.answer(200, b"x" * 2000)

    def serve_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 2000)

    def serve_short(self) -> None:
        self.answer(200, b"half", Content_Length="100")

    def serve_packed(self) -> None:
        self.answer(200, b"\x1f\x8b", Content_Encoding="gzip")

    def serve_stall(self) -> None:
        self.server.stop.wait(5)  # type: ignore[attr-defined]

    def serve_drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        while not self.server.stop.wait(0.01):  # type: ignore[attr-defined]
            self.wfile.write(b"x")

    def serve_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.server.stop.wait(0.01):  # type: ignore[attr-defined]
            self.wfile.write(b"x")

    def serve_garbage(self) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH\r\n")

    def log_message(self, *_: Any) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Any]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.asked, made.stop = [], threading.Event()
        made.url = f"http://127.0.0.1:{made.server_port}"
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.stop.set()
        made.shutdown()


def anywhere(address: str) -> bool:
    return True


def reason(downloads: Downloads, url: str) -> str:
    with pytest.raises(Unusable) as caught:
        downloads.fetch(url)
    return str(caught.value)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


def test_a_picture_comes_without_credentials_or_cookies(server: Any) -> None:
    assert Downloads(allowed=anywhere).fetch(f"{server.url}/ok/é a?x=1 2#part") == b"picture %C3%A9%20a?x=1%202"
    ((path, headers),) = server.asked
    assert path == "/ok/%C3%A9%20a?x=1%202"
    assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]", "0"]
)
def test_this_machine_is_not_asked_by_default(server: Any, host: str) -> None:
    told = reason(Downloads(), f"http://{host}:{server.server_port}/ok/x")
    assert told in ("address is not public", "host not found")
    assert server.asked == []


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name resolve to these, and return the names that are asked for."""
    names: list[str] = []

    def resolve(name: str, port: int, *_: Any, **__: Any) -> list[Any]:
        names.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("memaudit.verify.download.socket.getaddrinfo", resolve)
    return names


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = answers(monkeypatch, "8.8.8.8", "10.0.0.7")
    assert reason(Downloads(), "https://metadata.google.internal/x.jpg") == "address is not public"
    assert names == ["metadata.google.internal"]


def test_the_connection_goes_to_the_address_that_was_checked(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = answers(monkeypatch, "127.0.0.1")
    url = f"http://pictures.example:{server.server_port}/ok/x"
    assert Downloads(allowed=anywhere).fetch(url) == b"picture x"
    assert names == ["pictures.example", "127.0.0.1"]  # the name once; the second is the address on its way to connect
    assert server.asked[0][1]["Host"] == f"pictures.example:{server.server_port}"


def test_redirects_are_followed_three_times_and_checked_each_time(server: Any) -> None:
    assert Downloads(allowed=anywhere).fetch(f"{server.url}/hops/2") == b"picture there"
    assert reason(Downloads(allowed=anywhere), f"{server.url}/hops/3") == "too many redirects"
    assert reason(Downloads(allowed=anywhere), f"{server.url}/loop") == "too many redirects"
    only = Downloads(allowed=lambda address: address == "127.0.0.1")
    assert only.fetch(f"{server.url}/to//ok/y") == b"picture y"
    for target in ("http://10.0.0.1/x", "http://127.0.0.2/x", "http://[::1]/x"):
        assert reason(only, f"{server.url}/to/{target}") == "address is not public"
    assert reason(only, f"{server.url}/to/file:///etc/passwd") == "neither http nor https"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://example.org/x", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("gopher://127.0.0.1/x", "neither http nor https"),
        ("//example.org/x", "neither http nor https"),
        ("", "neither http nor https"),
        ("http://", "not a valid URL"),
        ("http://user:secret@example.org/", "not a valid URL"),
        ("http://@127.0.0.1/", "not a valid URL"),
        ("http://[::1/", "not a valid URL"),
        ("http://example.org:99999/", "not a valid URL"),
        (f"http://{'a' * 70}.org/", "not a valid URL"),
        ("http://example.org:25/", "not a web server's port"),
    ],
)
def test_urls_that_are_not_asked(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = answers(monkeypatch, "8.8.8.8")
    assert reason(Downloads(), url) == told
    assert names == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("missing", "HTTP 404"),
        ("big", "download too large"),
        ("endless", "download too large"),
        ("short", "download cut off"),
        ("packed", "compressed answer"),
        ("garbage", "download failed"),
    ],
)
def test_answers_that_are_refused(server: Any, path: str, told: str) -> None:
    assert reason(Downloads(Limits(n_bytes=1000), anywhere), f"{server.url}/{path}") == told


@pytest.mark.parametrize("path", ["stall", "drip", "headers"])
def test_a_slow_server_meets_the_deadline(server: Any, path: str) -> None:
    limits = Limits(deadline=0.08, waiting=5.0)
    assert reason(Downloads(limits, anywhere), f"{server.url}/{path}") == "download timed out"


def test_a_silent_server_is_waited_for_shortly(server: Any) -> None:
    limits = Limits(deadline=60.0, waiting=0.05)
    assert reason(Downloads(limits, anywhere), f"{server.url}/stall") == "download timed out"


def test_a_host_that_fails_again_and_again_is_not_asked_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
        downloads = Downloads(Limits(failures=2), anywhere)
        assert [reason(downloads, url) for _ in range(3)] == ["download failed"] * 2 + ["host does not answer"]


CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrUOcb5wPoZ//Pib+
2UJU24ECynB9PPtuJFxDx6emZyihRANCAAQT/ggPbC+XoDxAGuu8/y0dgRIZ4LX0
8ITpKT9xPZhxPfrmjCgxBGK9b4wkyuDbFS7AcXwYbwTjY15by/O16zQY
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBdzCCARygAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBwaWN0dXJl
cy5leGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBBwaWN0dXJlcy5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEE/4ID2wvl6A8QBrrvP8tHYESGeC19PCE6Sk/cT2YcT365owoMQRivW+MJMrg
2xUuwHF8GG8E42NeW8vztes0GKNPME0wDwYDVR0TAQH/BAUwAwEB/zAbBgNVHREE
FDASghBwaWN0dXJlcy5leGFtcGxlMB0GA1UdDgQWBBS506MWUGZPGaVHGVgY6bk2
n+PRvTAKBggqhkjOPQQDAgNJADBGAiEAvKm+HxwvWpZJyjO5pSSI2fllakDOLBej
dDpAUGm8S3oCIQDMEnUdKvcGmCTps0EdNGnSZPbDCnRJ4IE9m1BBWQ4wxA==
-----END CERTIFICATE-----
"""
"""Of pictures.example, signed by itself; its key protects nothing."""


@pytest.mark.parametrize(
    ("host", "trusted", "told"),
    [
        ("pictures.example", True, b"picture x"),
        ("pictures.example", False, "no secure connection"),
        ("other.example", True, "no secure connection"),
    ],
)
def test_tls_is_with_the_name_and_not_with_the_address(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, told: str | bytes
) -> None:
    (tmp_path / "c.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem")
    asked: list[str] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    if trusted:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "c.pem"))
        monkeypatch.setattr("memaudit.verify.download.ssl.create_default_context", lambda: trusting)
    answers(monkeypatch, "127.0.0.1")
    downloads = Downloads(allowed=anywhere)
    url = f"https://{host}:{server.server_port}/ok/x"
    assert (downloads.fetch(url) if isinstance(told, bytes) else reason(downloads, url)) == told
    assert asked == [host]


def test_a_server_without_tls(server: Any) -> None:
    url = server.url.replace("http:", "https:") + "/ok/x"
    assert reason(Downloads(Limits(deadline=0.5), anywhere), url) in ("no secure connection", "download timed out")


def test_many_come_in_order_with_reasons_among_them(server: Any) -> None:
    urls = [f"{server.url}/ok/{i}" if i % 3 else f"{server.url}/missing" for i in range(12)]
    found = list(Downloads(allowed=anywhere).fetch_all(urls, threads=3))
    assert [str(one) if isinstance(one, Unusable) else one for one in found] == [
        f"picture {i}".encode() if i % 3 else "HTTP 404" for i in range(12)
    ]


def test_the_cache_keeps_what_arrived(server: Any, tmp_path: Path) -> None:
    downloads = Downloads(allowed=anywhere, cache=tmp_path / "cache")
    for _ in range(2):
        assert downloads.fetch(f"{server.url}/ok/x") == b"picture x"
        assert reason(downloads, f"{server.url}/missing") == "HTTP 404"
    assert [path for path, _ in server.asked] == ["/ok/x", "/missing", "/missing"]
    assert len(list((tmp_path / "cache").iterdir())) == 1
