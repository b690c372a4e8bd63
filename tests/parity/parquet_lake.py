"""A lake that is only a folder of Parquet files, laid out as the real one, for engine tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.events.schemas import raw_arrow_schema, rejected_arrow_schema

SCHEMAS = {kind.table: raw_arrow_schema(kind) for kind in EVENT_KINDS} | {
    "rejected": rejected_arrow_schema()
}


@dataclass(frozen=True)
class ParquetFile:
    """One file and its day."""

    path: str
    dt: str


class ParquetLake:
    """Lands rows as files, one per hour and call, and lists them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, list[ParquetFile]] = {table: [] for table in SCHEMAS}

    def land(self, table: str, rows: Iterable[Any], schema: pa.Schema | None = None) -> None:
        """Write rows (dataclasses) to the files of their hours."""
        hours: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        placed_by = "received_at" if table == "rejected" else "occurred_at"
        for row in rows:
            at = getattr(row, placed_by)
            place = (at.strftime("%Y-%m-%d"), at.strftime("%H"))
            hours.setdefault(place, []).append(asdict(row) | {"dt": place[0], "hour": place[1]})
        for (dt, hour), found in sorted(hours.items()):
            number = len(self.files[table])
            path = self.folder / table / f"dt={dt}" / f"hour={hour}" / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(found, schema=schema or SCHEMAS[table]), path)
            self.files[table].append(ParquetFile(str(path), dt))

    def data_files(
        self, table: str, dt_from: str | None = None, dt_to: str | None = None
    ) -> Sequence[ParquetFile]:
        """The files of some days."""
        return [
            file
            for file in self.files[table]
            if (dt_from is None or file.dt >= dt_from) and (dt_to is None or file.dt <= dt_to)
        ]

    def further_columns(self, table: str) -> pa.Schema:
        """None: these files have the columns of this version."""
        return pa.schema([])
