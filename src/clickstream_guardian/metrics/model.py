"""A metric and its views as the rest of the program sees them: frozen and already checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """The types a metric's column can have; none of them may be missing in a row."""

    DAY = "day"  # a UTC day, written YYYY-MM-DD
    TEXT = "text"
    COUNT = "count"  # whole number, 64 bits
    MONEY = "money"  # decimal(38, 2)

    @property
    def is_number(self) -> bool:
        """Whether it can be divided."""
        return self in (ColumnType.COUNT, ColumnType.MONEY)


@dataclass(frozen=True)
class MetricColumn:
    """One column that the SQL returns."""

    name: str
    type: ColumnType
    meaning: str


@dataclass(frozen=True)
class Ratio:
    """``numerator / (denominator * scale)``; missing where the denominator is 0.

    It is divided by the database (a generated column), never by an engine.

    Attributes:
        scale: how many units of the numerator make one unit of the ratio (1000 for ms to s).
    """

    name: str
    numerator: str
    denominator: str
    scale: int
    meaning: str

    @property
    def expression(self) -> str:
        """The division as PostgreSQL's SQL, of type numeric, not rounded."""
        divisor = self.denominator if self.scale == 1 else f"{self.denominator} * {self.scale}"
        return f"CAST({self.numerator} AS numeric) / NULLIF({divisor}, 0)"


@dataclass(frozen=True)
class Metric:
    """One metric: a SELECT over ``reads`` that returns ``columns``, at most one row per ``key``.

    ``days`` (one row ``dt`` per day asked for) can be read by every metric.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[MetricColumn, ...]
    ratios: tuple[Ratio, ...]
    reads: tuple[str, ...]
    sql: str
    place: str

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class EngineView:
    """A view that metrics read, made by the engine over the lake's raw rows or other views."""

    name: str
    meaning: str
    reads: tuple[str, ...]
    sql: str
    place: str


@dataclass(frozen=True)
class ServingView:
    """A view over a metric's table, made in the database (PostgreSQL's SQL, which DuckDB reads)."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[MetricColumn, ...]
    reads: tuple[str, ...]
    sql: str
    place: str
