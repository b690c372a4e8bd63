"""Keeping a table's history short and its folder free of files that no snapshot names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.files import manifest_data_files
from clickstream_guardian.lake.local_io import LocalFileIO, local_path
from clickstream_guardian.lake.model import Orphans

READER_GRACE = timedelta(minutes=30)
"""How long files replaced by a compaction stay for readers that planned before it."""

PLANNING_GRACE = timedelta(minutes=5)
"""How long metadata that no snapshot names stays for readers that are just planning."""

_SINK_OFFSETS = "kafka.connect.offsets."
SNAPSHOTS_KEPT = 8
MAX_SNAPSHOTS = 24
"""A commit expires old snapshots above this number: PyIceberg slows down with it."""


def expirable(iceberg: Table, grace: timedelta) -> list[int]:
    """Ids of the snapshots that nobody can need any more.

    An appended table still holds every file of an older snapshot, so of those only the last few
    stay, and only until they have been superseded for ``grace``. The parent of a compaction alone
    names the files it replaced: while the compaction is younger than ``grace``, it stays, and its
    parent, and with them the files. Kafka Connect's sink finds its place again in the newest
    snapshot that it wrote itself: that one stays too.
    """
    snapshots = sorted(iceberg.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
    since = (time.time() - grace.total_seconds()) * 1000
    kept = {ref.snapshot_id for ref in iceberg.refs().values()}
    for snapshot in snapshots:
        if _replaces(snapshot) and snapshot.timestamp_ms > since:
            kept |= {snapshot.snapshot_id, snapshot.parent_snapshot_id or 0}
    kept |= {s.snapshot_id for s in [s for s in snapshots if _of_the_sink(s)][-1:]}
    for snapshot, successor in pairwise(snapshots[-SNAPSHOTS_KEPT:]):
        if successor.timestamp_ms > since:
            kept.add(snapshot.snapshot_id)
    return [snapshot.snapshot_id for snapshot in snapshots if snapshot.snapshot_id not in kept]


def _of_the_sink(snapshot: Snapshot) -> bool:
    found = snapshot.summary.additional_properties if snapshot.summary else {}
    return any(name.startswith(_SINK_OFFSETS) for name in found)


def _replaces(snapshot: Snapshot) -> bool:
    return snapshot.summary is not None and snapshot.summary.operation != Operation.APPEND


def referenced(iceberg: Table) -> tuple[set[Path], set[Path]]:
    """The data files and the metadata files that the table and its kept snapshots name."""
    manifests = {
        manifest.manifest_path: manifest
        for snapshot in iceberg.snapshots()
        for manifest in snapshot.manifests(iceberg.io)
    }
    data = {
        local_path(file.file_path)
        for manifest in manifests.values()
        for file in manifest_data_files(iceberg, manifest)
    }
    metadata = {local_path(location) for location in manifests}
    metadata |= {local_path(snapshot.manifest_list) for snapshot in iceberg.snapshots()}
    metadata |= {local_path(entry.metadata_file) for entry in iceberg.metadata.metadata_log}
    metadata.add(local_path(iceberg.metadata_location))
    return data, metadata


def remove_orphans(
    iceberg: Table,
    staged: Callable[[], Collection[Path]],
    grace: timedelta,
    on_step: Callable[[str], None],
) -> Orphans:
    """Remove files in the table's folder that no snapshot names.

    Args:
        iceberg: the table as it is now; nobody else may be writing to it.
        staged: says which files are being written or wait for their commit; asked after the
            folder has been listed, so that a file begun meanwhile is not in the list.
        grace: how old a nameless metadata file must be, for readers that are just planning.
        on_step: told of each removal.

    Raises:
        GuardianError: the lake is not on a local disk, or a file that the table names is gone.
    """
    if not isinstance(iceberg.io, LocalFileIO):
        raise GuardianError(
            f"Orphans of {iceberg.location()} are not on a local disk; "
            "remove them with Spark's remove_orphan_files."
        )
    folder = local_path(iceberg.location())
    data, metadata = referenced(iceberg)
    found_data = dict(_files(folder / "data"))
    found_metadata = dict(_files(folder / "metadata"))
    _refuse_missing((data - found_data.keys()) | (metadata - found_metadata.keys()))
    keep = staged()
    newest = time.time() - grace.total_seconds()
    lost_data = [path for path in found_data if path not in data and path not in keep]
    lost_metadata = [
        path
        for path, status in found_metadata.items()
        if path not in metadata and status.st_mtime <= newest
    ]
    for path in (*lost_data, *lost_metadata):
        path.unlink(missing_ok=True)
        on_step("orphan removed")
    sizes = found_data | found_metadata
    removed = sum(sizes[path].st_size for path in (*lost_data, *lost_metadata))
    return Orphans(len(lost_data), len(lost_metadata), removed)


def _refuse_missing(missing: Collection[Path]) -> None:
    if missing:
        raise GuardianError(
            f"The lake lacks {len(missing)} of its files, first {min(missing)}; "
            "nothing was removed: restore the folder from a backup."
        )


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            yield path, path.stat()
