"""Detectors' states between two batches, in files of the executor's host.

A Python worker serves any partition, so a state cannot stay in its memory. A cache and nothing
more: what is missing or does not fit is made anew from the log. A state's log is append-only, so
each of its chunks is written once; the rest is small.
"""

from __future__ import annotations

import os
import pickle
import stat
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from clickstream_guardian.detector.state import BucketState, Chunk, PartitionKey

_KEPT = 2  # a batch that is repeated starts from the state before the last


class _Kept(NamedTuple):
    """A chunk in memory and the file that holds it."""

    chunk: Chunk
    name: str


_known: dict[int, _Kept] = {}  # by identity of the chunk; of the last state of each partition


class StateCache:
    """The states in one private folder.

    Args:
        folder: made if it is not there.
        fingerprint: what the states depend on beside the log (rules, lateness); another one sees
            none of them.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = folder.stat()
        if about.st_uid != os.getuid() or about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise PermissionError(13, "the state cache must belong to us alone", str(folder))
        self._folder = folder
        self._fingerprint = fingerprint

    def load(self, key: PartitionKey, generation: int) -> BucketState | None:
        """The state of a partition at a generation of its checkpoint, if it is here."""
        folder = self._of(key)
        try:
            data = (folder / f"state-{generation}").read_bytes()
            fingerprint, state = _Unpickler(BytesIO(data), folder).load()
        except (OSError, EOFError, pickle.UnpicklingError, pl.exceptions.PolarsError):
            return None
        return state if fingerprint == self._fingerprint else None

    def save(self, key: PartitionKey, generation: int, state: BucketState) -> None:
        """Keep a state beside the one before; older ones go."""
        folder = self._of(key)
        folder.mkdir(exist_ok=True, mode=0o700)
        pickler = _Pickler(stream := BytesIO(), folder, generation)
        pickler.dump((self._fingerprint, state))
        _write(folder / f"state-{generation}", stream.getvalue())
        _write(folder / f"chunks-{generation}", "\n".join(pickler.names).encode())
        self._remove_old(folder, generation)

    def _of(self, key: PartitionKey) -> Path:
        return self._folder / f"{key.source}-{key.partition}"

    def _remove_old(self, folder: Path, generation: int) -> None:
        used: set[str] = set()
        for file in folder.glob("chunks-*"):
            age = generation - int(file.name.partition("-")[2])
            if 0 <= age < _KEPT:
                used.update(file.read_text().split("\n"))
            else:
                file.unlink(missing_ok=True)
                (folder / f"state-{generation - age}").unlink(missing_ok=True)
        for file in folder.glob("chunk-*"):
            if file.name not in used:
                file.unlink(missing_ok=True)
        for key in [k for k, kept in _known.items() if kept.name.startswith(f"{folder}/")]:
            if Path(_known[key].name).name not in used:
                del _known[key]


class _Pickler(pickle.Pickler):
    """Pickles a state with its chunks by name; a chunk not yet in a file gets one."""

    def __init__(self, stream: BytesIO, folder: Path, generation: int) -> None:
        super().__init__(stream, protocol=5)
        self._folder = folder
        self._generation = generation
        self.names: list[str] = []

    def persistent_id(self, item: Any) -> tuple[Any, ...] | None:
        """A chunk's file name and the little that is not in the file; None for all else."""
        if not isinstance(item, Chunk):
            return None
        kept = _known.get(id(item))
        if kept is None or kept.chunk is not item or Path(kept.name).parent != self._folder:
            name = f"chunk-{self._generation}-{os.getpid()}-{len(self.names)}"
            item.events.write_ipc(stream := BytesIO())
            _write(self._folder / name, stream.getvalue())
            kept = _known[id(item)] = _Kept(item, str(self._folder / name))
        self.names.append(Path(kept.name).name)
        return self.names[-1], item.newest_us, item.before


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BytesIO, folder: Path) -> None:
        super().__init__(stream)
        self._folder = folder

    def persistent_load(self, about: tuple[Any, ...]) -> Chunk:
        """The chunk that a file holds."""
        name, newest_us, before = about
        file = str(self._folder / name)
        for kept in _known.values():
            if kept.name == file:
                return kept.chunk
        chunk = Chunk(pl.read_ipc(file), newest_us, before)
        _known[id(chunk)] = _Kept(chunk, file)
        return chunk


def _write(file: Path, data: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(file)
