"""Source positions, kept as table properties and moved only by compare-and-swap.

They are properties because a snapshot's summary is forgotten by the next commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pyiceberg.exceptions import ValidationException
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import (
    SetPropertiesUpdate,
    UpdatesAndRequirements,
    UpdateTableMetadata,
    ValidatableTableRequirement,
)

from clickstream_guardian.lake.model import SourcePartition

PREFIX = "guardian.position."


def property_name(key: SourcePartition) -> str:
    """The table property that holds the position of a source partition."""
    return f"{PREFIX}{key.source}.{key.partition}"


def read_positions(properties: Mapping[str, str]) -> dict[SourcePartition, int]:
    """The next offset of each source partition found among a table's properties."""
    positions = {}
    for name, value in properties.items():
        if name.startswith(PREFIX):
            source, _, partition = name.removeprefix(PREFIX).rpartition(".")
            positions[SourcePartition(source, int(partition))] = int(value)
    return positions


class PositionsMovedError(ValidationException):
    """A stored position is not the one this commit was prepared for."""


class AssertPositions(ValidatableTableRequirement):
    """The stored positions must be the expected ones, or at least not be passed already.

    The catalog checks it against the very metadata that the commit replaces, on every retry:
    a concurrent commit that PyIceberg retries in silence cannot slip past it.
    """

    type: Literal["assert-guardian-positions"] = "assert-guardian-positions"
    exact: bool
    positions: dict[str, int]

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]
        """Compare with the table as it is.

        Raises:
            PositionsMovedError: a position differs (``exact``) or lies beyond.
        """
        properties = base_metadata.properties if base_metadata else {}
        for name, position in self.positions.items():
            stored = int(properties.get(name, 0))
            if stored != position if self.exact else stored > position:
                raise PositionsMovedError(
                    f"{name.removeprefix(PREFIX)} stands at {stored}, not at {position}"
                )


class MovePositions(UpdateTableMetadata["MovePositions"]):
    """The part of a transaction that moves positions."""

    def __init__(
        self,
        transaction: Transaction,
        positions: Mapping[SourcePartition, int],
        expected: Mapping[SourcePartition, int] | None,
    ) -> None:
        super().__init__(transaction)
        self._positions = positions
        self._expected = expected

    def _commit(self) -> UpdatesAndRequirements:
        update = SetPropertiesUpdate(
            updates={property_name(key): str(value) for key, value in self._positions.items()}
        )
        keys = {*self._positions, *(self._expected or ())}
        wanted = self._positions if self._expected is None else self._expected
        requirement = AssertPositions(
            exact=self._expected is not None,
            positions={property_name(key): wanted.get(key, 0) for key in keys},
        )
        return (update,), (requirement,)  # type: ignore[return-value]
