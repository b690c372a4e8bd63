"""Lines of a click or purchase file become events or rejections, many at a time.

Pure and vectorised: a chunk whose lines are all well-formed is parsed as columns at once; only a
chunk that holds something odd is looked at line by line, and only its odd lines are set apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from clickstream_guardian.events.fields import CLICK, EventKind
from clickstream_guardian.events.rejections import Reason, Rejection, reject

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(seconds=60)
MAX_LINE_BYTES = 1 << 20
MAX_FIELD_BYTES = 8192
"""A field longer than this is rejected; the longest addresses that browsers send are shorter."""

_INSTANT = pl.Datetime("us", "UTC")
_STRICT_INSTANT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})$"
_PRICE = r"^\d{1,10}(\.\d{1,2})?$"
_QUANTITY = r"^\d{1,10}$"
_HEADER_NAMES = {
    "session": "session_id",
    "sessionid": "session_id",
    "timestamp": "occurred_at",
    "time": "occurred_at",
    "occurredat": "occurred_at",
    "item": "item_id",
    "itemid": "item_id",
    "category": "category",
    "price": "price",
    "quantity": "quantity",
    "eventid": "given_id",
    "userid": "user_id",
    "ip": "ip",
    "useragent": "user_agent",
    "referrer": "referrer",
    "url": "url",
}


@dataclass(frozen=True)
class Layout:
    """Which column of a line is which field; ``header`` tells whether line 1 names them."""

    kind: EventKind
    columns: tuple[str, ...]
    header: bool


@dataclass(frozen=True)
class Decoded:
    """What a chunk held.

    Attributes:
        events: in line order; columns ``row``, ``line_number``, the fields that the layout has, and
            ``given_id`` where the source gives ids.
        rows: non-blank lines.
        lines: all lines.
    """

    events: pl.DataFrame
    rejections: tuple[Rejection, ...]
    rows: int
    lines: int


def base_columns(kind: EventKind) -> tuple[str, ...]:
    """Columns of a file of the YOOCHOOSE format, without a header."""
    own = ("category",) if kind is CLICK else ("price", "quantity")
    return ("session_id", "occurred_at", "item_id", *own)


def detect_layout(kind: EventKind, first_line: bytes) -> Layout:
    """Tell the layout from a file's first line.

    A line whose first field is a known column name is a header and names the columns; otherwise
    the columns are the data set's own, with an event id behind them if there is one field more.
    """
    fields = first_line.decode("utf-8", "replace").strip("\ufeff\r\n").split(",")
    names = [field.strip().strip('"').lower().replace("_", "") for field in fields]
    if names[0] in _HEADER_NAMES and len(names) > 1:
        columns = tuple(_HEADER_NAMES.get(name, f"ignored_{i}") for i, name in enumerate(names))
        return Layout(kind, columns, header=True)
    base = base_columns(kind)
    extra = ("given_id",) if len(fields) == len(base) + 1 else ()
    return Layout(kind, (*base, *extra), header=False)


def missing_columns(layout: Layout) -> tuple[str, ...]:
    """Required columns that a header does not name."""
    required = ("session_id", "occurred_at", "item_id")
    return tuple(name for name in required if name not in layout.columns)


def decode_lines(layout: Layout, chunk: bytes, received_at: datetime) -> Decoded:
    """Decode whole lines; rows are counted from 0 and lines from 1 within the chunk.

    Args:
        layout: the file's layout.
        chunk: complete lines, each ended by a newline but perhaps the last.
        received_at: when the source was read; bounds ``time_out_of_range``.
    """
    if not chunk:
        return Decoded(_empty(layout), (), 0, 0)
    if not chunk.endswith(b"\n"):
        chunk += b"\n"
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n")
    lines = chunk.count(b"\n")
    columns = len(layout.columns)
    text = _split_columns(layout, chunk) if _is_regular(chunk, lines, columns) else None
    if text is None:
        return _decode_irregular(layout, chunk, received_at)
    rows = np.arange(lines, dtype=np.int64)
    numbers = rows + 1
    events, rejected = _decode_values(layout, text, rows, numbers, received_at)
    return Decoded(events, tuple(rejected), lines, lines)


def _is_regular(chunk: bytes, lines: int, columns: int) -> bool:
    """Whether the chunk may be split into columns at once.

    The comma count over all lines does not prove each line's own; together with the splitter's
    refusal of a line with too many it does.
    """
    return (
        chunk.isascii()
        and b"\0" not in chunk
        and b"\r" not in chunk
        and chunk.count(b",") == lines * (columns - 1)
    )


def _split_columns(layout: Layout, chunk: bytes) -> pl.DataFrame | None:
    """The chunk's fields as text columns; None if a line has too many."""
    try:
        return pl.read_csv(
            chunk,
            has_header=False,
            quote_char=None,
            schema={f"text_{name}": pl.String for name in layout.columns},
            empty_string_is_null=False,
        )
    except pl.exceptions.ComputeError:
        return None


def _decode_irregular(layout: Layout, chunk: bytes, received_at: datetime) -> Decoded:
    """Set the odd lines of a chunk apart and decode the others."""
    kept: list[bytes] = []
    rows: list[int] = []
    numbers: list[int] = []
    rejected: list[Rejection] = []
    row = 0
    lines = chunk.split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        if not line.strip(b" \t\r"):
            continue
        reason = _oddity(line, len(layout.columns))
        if reason is None:
            kept.append(line)
            rows.append(row)
            numbers.append(number)
        else:
            rejected.append(reject(row, number, reason, line))
        row += 1
    if not kept:
        return Decoded(_empty(layout), tuple(rejected), row, len(lines))
    text = _split_columns(layout, b"\n".join(kept) + b"\n")
    assert text is not None  # _oddity has counted each line's fields
    positions = np.array(rows, dtype=np.int64), np.array(numbers, dtype=np.int64)
    events, bad_values = _decode_values(layout, text, *positions, received_at)
    ordered = sorted([*rejected, *bad_values], key=lambda rejection: rejection.row)
    return Decoded(events, tuple(ordered), row, len(lines))


def _oddity(line: bytes, columns: int) -> Reason | None:
    """Why a line cannot be split into the layout's columns, if so."""
    if len(line) > MAX_LINE_BYTES:
        return Reason.LINE_TOO_LONG
    if b"\0" in line:
        return Reason.NUL_BYTE
    if not line.isascii():
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return Reason.INVALID_UTF8
    fields = line.count(b",") + 1
    if fields < columns:
        return Reason.TOO_FEW_FIELDS
    return Reason.TOO_MANY_FIELDS if fields > columns else None


def _decode_values(
    layout: Layout,
    text: pl.DataFrame,
    rows: np.ndarray,
    numbers: np.ndarray,
    received_at: datetime,
) -> tuple[pl.DataFrame, list[Rejection]]:
    values = {
        name: _COLUMN[name](text[f"text_{name}"]) for name in layout.columns if name in _COLUMN
    }
    frame = pl.DataFrame({"row": rows, "line_number": numbers, **values})
    checks = _checks(layout, text, frame, received_at)
    bad = pl.Series(np.zeros(len(frame), dtype=bool))
    for mask, _ in checks:
        bad = bad | mask
    if layout.kind is not CLICK:
        frame = _unknown_amounts(frame)
    if not bad.any():
        return frame, []
    return frame.filter(~bad), _reject_rows(text, frame, checks, bad)


def _checks(
    layout: Layout, text: pl.DataFrame, frame: pl.DataFrame, received_at: datetime
) -> list[tuple[pl.Series, Reason]]:
    """Masks of bad rows, the first that holds naming the reason."""
    at = frame["occurred_at"]
    latest = received_at + FUTURE_TOLERANCE
    checks = [
        (_too_long(text), Reason.LINE_TOO_LONG),
        (text["text_session_id"] == "", Reason.EMPTY_SESSION),
        (at.is_null(), Reason.BAD_TIMESTAMP),
        (text["text_item_id"] == "", Reason.EMPTY_ITEM),
        (((at < EARLIEST) | (at > latest)).fill_null(value=False), Reason.TIME_OUT_OF_RANGE),
    ]
    if "given_id" in layout.columns:
        checks.append((text["text_given_id"] == "", Reason.EMPTY_EVENT_ID))
    for name, reason in (("price", Reason.BAD_PRICE), ("quantity", Reason.BAD_QUANTITY)):
        if name in layout.columns:
            checks.append(((text[f"text_{name}"] != "") & frame[name].is_null(), reason))
    return checks


def _too_long(text: pl.DataFrame) -> pl.Series:
    longest = text.select(pl.max_horizontal(pl.all().str.len_bytes())).to_series()
    return longest > MAX_FIELD_BYTES


def _reject_rows(
    text: pl.DataFrame,
    frame: pl.DataFrame,
    checks: list[tuple[pl.Series, Reason]],
    bad: pl.Series,
) -> list[Rejection]:
    rejected = []
    line = text.select(pl.concat_str(pl.all(), separator=",")).to_series()
    for index in bad.arg_true().to_list():
        reason = next(reason for mask, reason in checks if mask[index])
        row, number = frame["row"][index], frame["line_number"][index]
        rejected.append(reject(row, number, reason, line[index].encode()))
    return rejected


def _instants(text: pl.Series) -> pl.Series:
    """Parse RFC 3339 instants; anything else becomes null.

    Arrow's ISO 8601 kernel does the common case for all rows at once; it refuses the whole column
    at the first oddity, and only then are the rows looked at by shape first.
    """
    try:
        return _cast_instants(text)
    except pa.ArrowInvalid:
        shaped = text.str.contains(_STRICT_INSTANT)
        parsed = [
            _instant_or_none(value) if good else None
            for value, good in zip(text.to_list(), shaped.to_list(), strict=True)
        ]
        return pl.Series(parsed, dtype=_INSTANT)


def _cast_instants(text: pl.Series) -> pl.Series:
    if not (text.str.ends_with("Z") & (text.str.len_bytes() >= 20)).all():
        raise pa.ArrowInvalid("not all are plain UTC instants")
    parsed = pc.cast(text.to_arrow(), pa.timestamp("us", "UTC"))
    return pl.Series("occurred_at", parsed)


def _instant_or_none(value: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _texts(text: pl.Series) -> pl.Series:
    return text


def _optional_texts(text: pl.Series) -> pl.Series:
    return text.set(text == "", None)


def _categories(text: pl.Series) -> pl.Series:
    return text.set((text == "0") | (text == ""), None)


def _prices(text: pl.Series) -> pl.Series:
    shaped = text.set(~text.str.contains(_PRICE), None)
    return shaped.cast(pl.Decimal(12, 2), strict=False)


def _quantities(text: pl.Series) -> pl.Series:
    shaped = text.set(~text.str.contains(_QUANTITY), None)
    return shaped.cast(pl.Int32, strict=False)


def _unknown_amounts(frame: pl.DataFrame) -> pl.DataFrame:
    """A quantity of 0 is unknown; a price of 0 with an unknown quantity is unknown, never free."""
    if "quantity" not in frame.columns or "price" not in frame.columns:
        return frame
    known = pl.col("quantity").fill_null(0) > 0
    return frame.with_columns(
        quantity=pl.when(known).then("quantity"),
        price=pl.when(known | (pl.col("price") > 0)).then("price"),
    )


_COLUMN: dict[str, Callable[[pl.Series], pl.Series]] = {
    "session_id": _texts,
    "occurred_at": _instants,
    "item_id": _texts,
    "category": _categories,
    "price": _prices,
    "quantity": _quantities,
    "given_id": _texts,
    "user_id": _optional_texts,
    "ip": _optional_texts,
    "user_agent": _optional_texts,
    "referrer": _optional_texts,
    "url": _optional_texts,
}
_TYPES: dict[str, pl.DataType] = {
    "occurred_at": _INSTANT,
    "price": pl.Decimal(12, 2),
    "quantity": pl.Int32(),
}


def _empty(layout: Layout) -> pl.DataFrame:
    fields = {n: _TYPES.get(n, pl.String()) for n in layout.columns if n in _COLUMN}
    return pl.DataFrame(schema={"row": pl.Int64, "line_number": pl.Int64, **fields})
