"""The Hugging Face hub's datasets through its own file system, as Arrow takes one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs
from huggingface_hub import HfFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable


def hub_filesystem() -> pafs.FileSystem:
    """Paths are datasets/OWNER/NAME[@REVISION]/..."""
    return pafs.PyFileSystem(GuardedHandler(HfFileSystem()))


def _guarded(call: Callable[..., Any]) -> Callable[..., Any]:
    """What an HTTP library raises comes out as OSError, as that of Arrow's own stores does."""

    @functools.wraps(call)
    def answer(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    return answer


class GuardedHandler(pafs.FSSpecHandler):  # type: ignore[misc]
    """Any fsspec file system for reading, with errors of one kind."""

    def get_file_info(self, paths: list[str]) -> Any:
        return _guarded(super().get_file_info)(paths)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> Any:
        return _guarded(super().get_file_info_selector)(selector)

    def open_input_file(self, path: str) -> pa.NativeFile:
        return _guarded(lambda: pa.PythonFile(_GuardedFile(self.fs.open(path, "rb")), mode="r"))()

    open_input_stream = open_input_file


class _GuardedFile:
    def __init__(self, file: Any) -> None:
        self._file = file
        for name in ("read", "seek", "tell"):
            setattr(self, name, _guarded(getattr(file, name)))
        self.close = file.close

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)
