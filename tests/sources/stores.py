"""Stores on loopback: moto's S3 that counts requests, and servers that only refuse."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "wJalrXUtnFEMIexample"


class S3:
    """moto's server, with one bucket."""

    def __init__(self, host: str, port: int) -> None:
        self.endpoint = f"http://{host}:{port}"
        self.requests: Counter[str] = Counter()
        self._files = pafs.S3FileSystem(
            endpoint_override=f"{host}:{port}",
            scheme="http",
            region="us-east-1",
            access_key="key",
            secret_key=SECRET,
            allow_bucket_creation=True,
        )
        self._files.create_dir("bucket")

    def put(self, key: str, content: bytes) -> None:
        with self._files.open_output_stream(f"bucket/{key}", compression=None) as out:
            out.write(content)

    def put_folder(self, folder: Path, prefix: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def clear(self) -> None:
        self._files.delete_dir_contents("bucket")
        self.requests.clear()


@contextmanager
def running_s3() -> Iterator[S3]:
    from moto.server import ThreadedMotoServer

    logger = logging.getLogger("werkzeug")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    store = S3(*server.get_host_and_port())

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            store.requests.update(method for method in ("HEAD", "GET") if f"{method} /" in record.getMessage())

    known = logger.level, logger.handlers, logger.propagate
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [Count()], False
    try:
        yield store
    finally:
        server.stop()
        logger.level, logger.handlers, logger.propagate = known


@contextmanager
def answering(respond: Any) -> Iterator[str]:
    """An HTTP server on loopback whose answers are `respond(handler)`; gives its host and port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            respond(self)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
