"""The columns that traffic is made of: clicks and purchase lines, whole sessions in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.signedinteger]


@dataclass(frozen=True)
class Columns:
    """Events as arrays of one length, which are taken and joined together.

    `at_ms` is the instant in milliseconds since 1970 (UTC), `ordinal` the place of the event
    among those of its session, from 0.
    """

    session_id: Ints
    at_ms: Ints
    ordinal: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.session_id)

    def take(self, rows: npt.NDArray[np.intp] | Bools | slice) -> Self:
        """The rows asked for, in the order asked for."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All rows of the parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Clicks(Columns):
    """Clicks: item and category by their index."""

    item: npt.NDArray[np.int32]
    category: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Purchases(Columns):
    """Purchase lines: item by its index; price and quantity are both 0 if unknown."""

    item: npt.NDArray[np.int32]
    price: npt.NDArray[np.int32]
    quantity: npt.NDArray[np.int32]


C = TypeVar("C", bound=Columns)
