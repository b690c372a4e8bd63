"""A click or purchase file as chunks of whole lines: plain, ``.gz`` or ``.zst``, of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.decode import MAX_LINE_BYTES
from clickstream_guardian.events.rejections import RAW_LIMIT, Reason, Rejection, reject

CHUNK_BYTES = 32 << 20
_CODECS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}

Progress = Callable[[int], None]
"""Told how many bytes of the file have been read since the last call."""


@dataclass(frozen=True)
class LineChunk:
    """Whole lines (the file's last one perhaps without its newline), or one over-long line.

    Attributes:
        data: the lines; empty for an over-long one.
        overlong: that line, cut, as row 0 and line 1 of its chunk.
    """

    data: bytes
    overlong: Rejection | None = None


def check_file(path: Path) -> None:
    """Refuse what is no readable file.

    Raises:
        UsageError: missing, a directory, not a regular file, or not readable.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file; check the path.")
    if path.is_dir():
        raise UsageError(f"{path}: is a directory; name a file in it.")
    if not path.is_file():
        raise UsageError(f"{path}: is not a regular file; write its contents to one first.")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check its rights.") from error


def fingerprint(path: Path, progress: Progress | None = None) -> str:
    """The name of a file as a source: the hash of its bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(4 << 20):
            digest.update(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def first_line(path: Path) -> bytes:
    """The first line that is not blank, cut at ``MAX_LINE_BYTES``; empty for an empty file."""
    for chunk in iter_chunks(path):
        if chunk.overlong is not None:
            return chunk.overlong.raw.encode()
        for line in chunk.data[:MAX_LINE_BYTES].splitlines():
            if line.strip():
                return line
    return b""


def iter_chunks(path: Path, progress: Progress | None = None) -> Iterator[LineChunk]:
    """The file's lines in order, a chunk at a time (a header is a line like any other).

    Raises:
        GuardianError: a compressed file that is damaged or cut off.
    """
    with path.open("rb") as raw, _decompressed(path, raw) as stream:
        try:
            yield from _cut(stream, raw, progress)
        except OSError as error:
            raise GuardianError(
                f"{path}: cannot be read to its end ({error}); nothing of it was replayed: "
                "copy the file again."
            ) from error


def _decompressed(path: Path, raw: BinaryIO) -> BinaryIO:
    codec = _CODECS.get(path.suffix)
    return cast(BinaryIO, pa.CompressedInputStream(raw, codec)) if codec else raw


def _cut(stream: BinaryIO, raw: BinaryIO, progress: Progress | None) -> Iterator[LineChunk]:
    """Cut a stream at newlines; ``raw`` tells how far the file itself has been read."""
    rest, reported = b"", 0
    while block := stream.read(CHUNK_BYTES):
        if progress:
            at = raw.tell()
            progress(at - reported)
            reported = at
        end = block.rfind(b"\n") + 1
        if end:
            yield LineChunk(rest + block[:end])
            rest = block[end:]
        else:
            rest += block
        if len(rest) > MAX_LINE_BYTES:
            overlong, rest = _skip_line(stream, rest)
            yield LineChunk(b"", overlong)
    if rest:
        yield LineChunk(rest)


def _skip_line(stream: BinaryIO, head: bytes) -> tuple[Rejection, bytes]:
    """Read an over-long line to its end; return it cut, and what stands behind it."""
    size, rest = len(head), b""
    while block := stream.read(1 << 20):
        end = block.find(b"\n")
        if end >= 0:
            size += end
            rest = block[end + 1 :]
            break
        size += len(block)
    return reject(0, 1, Reason.LINE_TOO_LONG, head[:RAW_LIMIT], size), rest
