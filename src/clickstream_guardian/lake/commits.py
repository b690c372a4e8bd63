"""The two commits that change a table's files: appending a batch, and replacing files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.model import PositionConflictError, SourcePartition, StagedFiles
from clickstream_guardian.lake.positions import MovePositions

_ATTEMPTS = 5

Positions = Mapping[SourcePartition, int]


def require_covered(
    table: str, staged: StagedFiles, positions: Positions, expected: Positions | None
) -> None:
    """Refuse a commit after which a restart would lose or double rows of its own files.

    Raises:
        GuardianError: the files are another table's, the new positions do not lie behind them,
            or a position goes back.
    """
    if staged.table != table:
        raise GuardianError(f"Files staged for {staged.table} cannot be committed to {table}.")
    for key, offsets in staged.offsets.items():
        if positions.get(key, 0) <= offsets.last:
            raise GuardianError(
                f"The commit holds offset {offsets.last} of {key.source}.{key.partition} but moves "
                f"its position to {positions.get(key)}; give at least {offsets.last + 1}."
            )
        if expected is not None and expected.get(key, 0) > offsets.first:
            raise already_landed(key, offsets.first, expected.get(key, 0))
    for key, position in positions.items():
        if expected is not None and expected.get(key, 0) > position:
            raise GuardianError(
                f"Position {position} of {key.source}.{key.partition} lies before "
                f"{expected[key]}; positions never go back."
            )


def already_landed(key: SourcePartition, offset: int, position: int) -> PositionConflictError:
    """The error for rows that lie before the stored position."""
    return PositionConflictError(
        f"Offset {offset} of {key.source}.{key.partition} lies before the stored position "
        f"{position}: it is landed already; go on from there."
    )


def append(
    load: Callable[[], Table],
    files: Sequence[DataFile],
    positions: Positions,
    expected: Positions | None,
) -> None:
    """Add files and move positions in one transaction.

    Raises:
        PositionsMovedError: the stored positions are not the expected ones.
        CommitFailedException: other writers kept coming first.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with load().transaction() as transaction:
                MovePositions(transaction, positions, expected).commit()
                if files:
                    with transaction.update_snapshot().merge_append() as snapshot:
                        for file in files:
                            snapshot.append_data_file(file)
            return
        except CommitFailedException:
            # PyIceberg retries commits of files by itself, but not those of properties alone.
            if files or attempt == _ATTEMPTS - 1:
                raise


def replace(iceberg: Table, old: Sequence[DataFile], new: Sequence[DataFile]) -> None:
    """Take files out and put others in, in one transaction.

    Raises:
        ValidationException: another writer changed the table meanwhile.
    """
    with (
        iceberg.transaction() as transaction,
        transaction.update_snapshot().overwrite() as snapshot,
    ):
        for file in new:
            snapshot.append_data_file(file)
        for file in old:
            snapshot.delete_data_file(file)
