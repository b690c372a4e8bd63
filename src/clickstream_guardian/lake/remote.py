"""A lake's files on S3, for an engine that opens files by itself (DuckDB)."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.arrow import ArrowFile, ArrowFSWrapper
from pyarrow.fs import S3FileSystem


class SharedFile(ArrowFile):  # type: ignore[misc]
    """A file that threads read through one handle, each at a position of its own.

    DuckDB reads in two calls, ``seek`` and ``read``, and does so from many threads at once: with
    one position, a thread would now and then get what another has asked for.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._of_thread = threading.local()

    def tell(self) -> int:
        """The calling thread's position."""
        return getattr(self._of_thread, "at", 0)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the calling thread's position."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self._of_thread.at = begin + offset
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        """Read on at the calling thread's position; all the rest for a negative size."""
        at = self.tell()
        found: bytes = self.stream.read_at(self.size - at if size < 0 else size, at)
        self._of_thread.at = at + len(found)
        return found

    def readinto(self, buffer: memoryview) -> int:
        """Read on into a buffer; how many bytes."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class SharedFiles(ArrowFSWrapper):  # type: ignore[misc]
    """A file system of Arrow whose files threads share."""

    def _open(self, path: str, mode: str = "rb", *more: Any, **named: Any) -> ArrowFile:
        if mode != "rb":
            return super()._open(path, mode, *more, **named)
        return SharedFile(self, self.fs.open_input_file(path), path, mode)


class _S3Files(SharedFiles):
    """Arrow's S3 under the name by which the paths of the lake call it."""

    protocol = "s3"


def s3_files(properties: Mapping[str, str]) -> AbstractFileSystem:
    """The S3 that a PyIceberg catalog's properties name, as a file system for ``s3://`` paths.

    DuckDB's own extension for S3 is downloaded when first used, which an offline machine cannot;
    Arrow's reader is here already.
    """
    scheme, _, address = properties["s3.endpoint"].partition("://")
    return _S3Files(
        S3FileSystem(
            access_key=properties["s3.access-key-id"],
            secret_key=properties["s3.secret-access-key"],
            endpoint_override=address,
            scheme=scheme,
            region=properties.get("s3.region", "us-east-1"),
        )
    )
