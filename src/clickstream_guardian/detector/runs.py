"""Rows of a sorted frame that belong together, as one run each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)


def differs(*columns: str) -> pl.Expr:
    """Whether a row differs from the one before it."""
    changed = pl.any_horizontal(*(pl.col(name) != pl.col(name).shift() for name in columns))
    return changed.fill_null(value=True)


@dataclass(frozen=True)
class Runs:
    """Where each run starts, and how many rows it has."""

    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, rows: pl.DataFrame, *columns: str) -> Self:
        """The runs of equal values in some columns."""
        starts = rows.select(differs(*columns)).to_series().arg_true().to_numpy().astype(np.int64)
        return cls(starts, np.diff(np.append(starts, len(rows))))

    def first(self, most: int) -> Self:
        """The runs when no more than the first ``most`` rows of each are left."""
        lengths = np.minimum(self.lengths, most)
        return type(self)(np.cumsum(lengths) - lengths, lengths)

    @property
    def number(self) -> Ints:
        """The number of each row's run, from 0."""
        return self.spread(np.arange(len(self.starts)))

    @property
    def rank(self) -> Ints:
        """The place of each row in its run, from 1."""
        return np.arange(1, self.lengths.sum() + 1) - self.spread(self.starts)

    def spread(self, values: npt.NDArray[_T]) -> npt.NDArray[_T]:
        """A value per run as one per row."""
        return np.repeat(values, self.lengths)
