"""Stores behind s3://, gs:// and hf:// URLs: how they are reached, listed and opened, and what their errors mean.

Everything comes from the environment; no credential is ever part of a path, so none reaches an audit.
"""

from __future__ import annotations

import functools
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from memaudit.errors import BadInput, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

ATTEMPTS = 5  # requests of S3, the first with them
CONNECT_SECONDS, REQUEST_SECONDS = 5, 60
GCS_PATIENCE = timedelta(seconds=60)  # Google's library would try for 15 minutes
SETTINGS = {
    "s3": (
        *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"),
        *("AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    ),
    "gs": ("STORAGE_EMULATOR_HOST", "GS_NO_SIGN_REQUEST", "GOOGLE_SKIP_SIGNATURE", "GOOGLE_APPLICATION_CREDENTIALS"),
    "hf": ("HF_ENDPOINT", "HF_TOKEN"),
}
"""By scheme the environment variables that decide how a store is reached."""


class Entry(NamedTuple):
    """An object or a folder in a store."""

    url: str
    is_folder: bool
    size: int  # bytes; of folders 0
    mtime_ns: int


def filesystem(url: str) -> tuple[pafs.FileSystem, str]:
    """The store that a URL names, and the path in it. Raises OSError, UsageError and BadInput."""
    scheme, _, path = url.partition("://")
    bucket = path.partition("/")[0]
    if "@" in bucket:
        what = f"{scheme}:// URLs do not take credentials here"
        raise UsageError(what, "what stands before the @ would be kept in the audit", _CREDENTIALS[scheme])
    return _connected(scheme, bucket, tuple(os.environ.get(name) for name in SETTINGS[scheme])), path


@functools.lru_cache(maxsize=64)
def _connected(scheme: str, bucket: str, settings: tuple[str | None, ...]) -> pafs.FileSystem:
    given = dict(zip(SETTINGS[scheme], settings, strict=True))
    if scheme == "s3":
        return _s3(given, bucket)
    return _gcs(given) if scheme == "gs" else _hub()


def _s3(given: dict[str, str | None], bucket: str) -> pafs.FileSystem:
    where = _endpoint(given["AWS_ENDPOINT_URL_S3"] or given["AWS_ENDPOINT_URL"], "AWS_ENDPOINT_URL")
    region = given["AWS_REGION"] or given["AWS_DEFAULT_REGION"]
    if region is None and not where:
        region = pafs.resolve_s3_region(bucket)
    return pafs.S3FileSystem(
        **where,
        region=region or "us-east-1",
        anonymous=_is_set(given["AWS_NO_SIGN_REQUEST"]) or _is_set(given["AWS_SKIP_SIGNATURE"]),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def _gcs(given: dict[str, str | None]) -> pafs.FileSystem:
    where = _endpoint(given["STORAGE_EMULATOR_HOST"], "STORAGE_EMULATOR_HOST")
    unsigned = bool(where) or _is_set(given["GS_NO_SIGN_REQUEST"]) or _is_set(given["GOOGLE_SKIP_SIGNATURE"])
    return pafs.GcsFileSystem(anonymous=unsigned, retry_time_limit=GCS_PATIENCE, **where)


def _hub() -> pafs.FileSystem:
    try:
        from memaudit.sources.hub import hub_filesystem
    except ImportError as error:
        raise UsageError(
            "hf:// needs huggingface_hub", "it is not installed", "pip install 'memaudit-captions[hf]'"
        ) from error
    return hub_filesystem()


def _endpoint(url: str | None, variable: str) -> dict[str, str]:
    """Scheme and host as Arrow takes them. An endpoint with a password in it is refused: it would be shown."""
    if not url:
        return {}
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.path not in ("", "/"):
        raise UsageError(f"{variable} is no endpoint", "wanted: scheme, host and port", "http://localhost:9000")
    return {"scheme": parts.scheme, "endpoint_override": parts.netloc}


def _is_set(value: str | None) -> bool:
    return (value or "").strip().lower() in ("1", "yes", "true", "on")


def opened_remote(url: str) -> pa.NativeFile:
    """The object, for reading anywhere in it. Raises OSError. One request, for its size."""
    store, path = filesystem(url)
    return store.open_input_file(path)


def entry(url: str) -> Entry | None:
    """What a URL names; None where there is nothing. Raises OSError. Two requests at most."""
    store, path = filesystem(url)
    found = store.get_file_info(path.rstrip("/"))
    return None if found.type == pafs.FileType.NotFound else _entry(url.partition("://")[0], found)


def entries(url: str, recursive: bool) -> Iterator[Entry]:
    """Objects and folders in a folder, and with `recursive` in all below it. Raises OSError. One request for each
    thousand."""
    store, path = filesystem(url)
    found = store.get_file_info(pafs.FileSelector(path.rstrip("/"), allow_not_found=False, recursive=recursive))
    yield from (_entry(url.partition("://")[0], one) for one in found)


def _entry(scheme: str, found: pafs.FileInfo) -> Entry:
    is_folder = found.type == pafs.FileType.Directory
    url, size = f"{scheme}://{found.path.lstrip('/')}", 0 if is_folder else found.size or 0
    return Entry(url, is_folder, size, found.mtime_ns or 0)


_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for public data AWS_NO_SIGN_REQUEST=YES",
    "gs": "gcloud auth application-default login; for public data GS_NO_SIGN_REQUEST=YES",
    "hf": "hf auth login, or set HF_TOKEN",
}
_NETWORK = {
    "s3": "check the network and AWS_ENDPOINT_URL; the same command goes on",
    "gs": "check the network; the same command goes on",
    "hf": "check the network and HF_ENDPOINT; the same command goes on",
}
_UNREACHABLE = (
    *("curlCode", "NETWORK_CONNECTION", "REQUEST_TIMEOUT", "SLOW_DOWN", "INTERNAL_FAILURE", "SERVICE_UNAVAILABLE"),
    *("CURL error", "UNAVAILABLE", "DEADLINE_EXCEEDED", "Could not resolve", "timed out", "Connection", "OfflineMode"),
)
_DENIED = (
    *("ACCESS_DENIED", "HTTP status 403", "HTTP status 401", "INVALID_ACCESS_KEY_ID", "INVALID_SIGNATURE"),
    *("SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID", "EXPIRED_TOKEN", "PERMISSION_DENIED", "UNAUTHENTICATED"),
    *("OAuth2", "GatedRepo", "401 Client Error", "403 Client Error"),
)


def refusal(url: str, error: Exception) -> BadInput | None:
    """The message for what a store says; None where the error is not the store's, so the file's."""
    text, scheme = f"{type(error).__name__}: {error}", url.partition("://")[0]
    if isinstance(error, FileNotFoundError) or "NO_SUCH_BUCKET" in text or "RepositoryNotFound" in text:
        what = "bucket" if "NO_SUCH_BUCKET" in text else "repository" if "Repository" in text else "object"
        return BadInput(f"no such {what}: {url}", "the store does not know it", "check the spelling")
    if "configured region is" in text or "HTTP status 301" in text:
        place = text.partition("located in '")[2].partition("'")[0]
        why = f"the bucket lies in {place}" if place else "the bucket lies in another region"
        return BadInput(f"cannot read {url}", why, f"AWS_REGION={place or 'REGION'}")
    if isinstance(error, PermissionError) or any(mark in text for mark in _DENIED):
        return BadInput(f"cannot read {url}", f"access is denied ({_who(scheme)})", _CREDENTIALS[scheme])
    if isinstance(error, ConnectionError | TimeoutError) or any(mark in text for mark in _UNREACHABLE):
        return Unreachable(f"cannot reach {scheme}://", _reason(text), _NETWORK[scheme])
    if "AWS Error" in text or "google::cloud" in text:
        return BadInput(f"cannot read {url}", _reason(text), "check the address and the store")
    return None


def _who(scheme: str) -> str:
    """As whom the store was asked, without what proves it."""
    environ = os.environ.get
    if scheme == "s3":
        if _is_set(environ("AWS_NO_SIGN_REQUEST")) or _is_set(environ("AWS_SKIP_SIGNATURE")):
            return "asked without signature"
        named = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE") if environ(name)]
        return f"asked with {' and '.join(named)}" if named else "AWS_ACCESS_KEY_ID and AWS_PROFILE are not set"
    return "asked with what this machine is logged in with"


def _reason(text: str) -> str:
    """A store's words, short, on one line, and without what the environment keeps secret."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "HF_TOKEN"):
        if secret := os.environ.get(name):
            text = text.replace(secret, f"${name}")
    for mark in ("curlCode: ", "last message of ", "operation: "):
        text = text.partition(mark)[2] or text
    text = text.partition("; Details:")[0].partition(" error_info=")[0].partition(" (Request ID")[0]
    return " ".join(text.split())[:160]


def told(error: Exception, url: str) -> BadInput:
    """`refusal`, or what else an error says."""
    found: Any = refusal(url, error)
    return found or BadInput(f"cannot read {url}", _reason(str(error)), "check the address and the store")
