"""Metric files become metrics and views; what is wrong with one is said with file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Protocol, TypeVar

from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.metrics.clean import NEEDED_FIELDS
from clickstream_guardian.metrics.header import Header, MetricError, split_file
from clickstream_guardian.metrics.model import (
    ColumnType,
    EngineView,
    Metric,
    MetricColumn,
    Ratio,
    ServingView,
)

RAW_VIEWS = ("raw_clicks", "raw_purchases")
"""What an engine gives to begin with: the rows of the lake, duplicates included."""

DAYS_VIEW = "days"
"""One row ``dt`` for each day asked for."""

_METRIC_WORDS = ("metric", "meaning", "reads", "key", "columns", "ratios")
_VIEW_WORDS = ("view", "meaning", "reads")
_SERVING_WORDS = ("view", "meaning", "reads", "key", "columns")
_COLUMN_WORDS = ("type", "meaning")
_RATIO_WORDS = ("numerator", "denominator", "scale", "meaning")


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def reads(self) -> tuple[str, ...]: ...


_T = TypeVar("_T", bound=_Named)


@cache
def load_metrics() -> tuple[Metric, ...]:
    """The metrics of the catalogue, by name.

    Raises:
        MetricError: a file is wrong, or a metric reads what is not there.
    """
    views = [view.name for view in load_engine_views()]
    return _read_folder("catalogue", "metric", parse_metric, (*RAW_VIEWS, DAYS_VIEW, *views))


@cache
def load_engine_views() -> tuple[EngineView, ...]:
    """The views that metrics read, each after the views it reads itself.

    Raises:
        MetricError: a file is wrong, or views read each other in a circle.
    """
    views = {view.name: view for view in _read_folder("views", "view", parse_engine_view)}
    _refuse_unknown_reads(views.values(), (*RAW_VIEWS, DAYS_VIEW, *views))
    return in_reading_order(views.values())


@cache
def load_serving_views() -> tuple[ServingView, ...]:
    """The views over metric tables that the database holds, by name.

    Raises:
        MetricError: a file is wrong, or a view reads what is no metric.
    """
    metrics = [metric.name for metric in load_metrics()]
    return _read_folder("catalogue", "view", parse_serving_view, metrics)


def find_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        MetricError: there is none.
    """
    for metric in load_metrics():
        if metric.name == name:
            return metric
    names = ", ".join(metric.name for metric in load_metrics())
    raise MetricError(f"There is no metric {name!r}; the catalogue has {names}.")


def find_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these names, or those that serving views of these names show; all for none.

    Raises:
        MetricError: a name is of neither.
    """
    shown = {view.name: view.reads for view in load_serving_views()}
    wanted = {name for given in names for name in shown.get(given, (given,))}
    if not wanted:
        return load_metrics()
    return tuple(find_metric(name) for name in sorted(wanted))


def needed_views(metrics: Iterable[Metric]) -> tuple[EngineView, ...]:
    """The views that these metrics read, directly or not, in reading order."""
    wanted = {name for metric in metrics for name in metric.reads}
    needed = []
    for view in reversed(load_engine_views()):
        if view.name in wanted:
            wanted.update(view.reads)
            needed.append(view)
    return tuple(reversed(needed))


def read_fields(kind: EventKind, metrics: Sequence[Metric]) -> list[str]:
    """The event's fields that the SQL of metrics and their views, raw or clean, speaks of."""
    texts = [*(metric.sql for metric in metrics), *(view.sql for view in needed_views(metrics))]
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    words |= {"event_id", *NEEDED_FIELDS}
    return [name for name in kind.field_names if name in words]


def in_reading_order(views: Iterable[EngineView]) -> tuple[EngineView, ...]:
    """Views sorted so that each stands after those it reads.

    Raises:
        MetricError: they read each other in a circle.
    """
    by_name = {view.name: view for view in views}
    sorter = TopologicalSorter({view.name: view.reads for view in by_name.values()})
    try:
        return tuple(by_name[name] for name in sorter.static_order() if name in by_name)
    except CycleError as error:
        circle = " reads ".join(reversed(error.args[1]))
        place = by_name[error.args[1][0]].place
        raise MetricError(f"{place}:1: views read each other: {circle}; break the circle.") from (
            error
        )


def parse_metric(text: str, place: str) -> Metric:
    """A metric from the text of its file.

    Args:
        text: header comment and SELECT.
        place: file name for messages.

    Raises:
        MetricError: with ``place:line`` and, for an unknown word, the nearest valid one.
    """
    header, sql = split_file(text, place)
    header.entries(_METRIC_WORDS)
    columns = _columns(header)
    return Metric(
        name=header.name("metric"),
        meaning=header.text("meaning"),
        key=_key(header, columns),
        columns=columns,
        ratios=_ratios(header, columns) if header.has("ratios") else (),
        reads=header.names("reads"),
        sql=sql,
        place=place,
    )


def parse_engine_view(text: str, place: str) -> EngineView:
    """A view that metrics read, from the text of its file; errors as ``parse_metric``."""
    header, sql = split_file(text, place)
    header.entries(_VIEW_WORDS)
    return EngineView(
        header.name("view"), header.text("meaning"), header.names("reads"), sql, place
    )


def parse_serving_view(text: str, place: str) -> ServingView:
    """A view over a metric's table, from the text of its file; errors as ``parse_metric``."""
    header, sql = split_file(text, place)
    header.entries(_SERVING_WORDS)
    columns = _columns(header)
    return ServingView(
        name=header.name("view"),
        meaning=header.text("meaning"),
        key=_key(header, columns),
        columns=columns,
        reads=header.names("reads"),
        sql=sql,
        place=place,
    )


def _columns(header: Header) -> tuple[MetricColumn, ...]:
    table = header.mapping("columns")
    columns = []
    for key_node, value in table.node.value:
        entry = table.at(value, "a column")
        entry.entries(_COLUMN_WORDS)
        kind = ColumnType(entry.choice("type", [*ColumnType]))
        columns.append(MetricColumn(table.checked_name(key_node), kind, entry.text("meaning")))
    table.entries()
    if not columns:
        raise table.error(table.node, "there is no column; name at least `dt`.")
    return tuple(columns)


def _key(header: Header, columns: Sequence[MetricColumn]) -> tuple[str, ...]:
    node = header.require("key")
    key = header.names("key")
    if key[0] != "dt":
        raise header.error(node, f"the key begins with `{key[0]}`; begin it with `dt`.")
    for name in key:
        if name not in {column.name for column in columns}:
            raise header.error(node, f"key `{name}` is no column; name it among the columns.")
    first = columns[0]
    if first.name != "dt" or first.type is not ColumnType.DAY:
        raise header.error(
            header.require("columns"), "the first column is not `dt` of type `day`; begin with it."
        )
    return key


def _ratios(header: Header, columns: Sequence[MetricColumn]) -> tuple[Ratio, ...]:
    table = header.mapping("ratios")
    numbers = [column.name for column in columns if column.type.is_number]
    taken = {column.name for column in columns}
    ratios = []
    for key_node, value in table.node.value:
        entry = table.at(value, "a ratio")
        entry.entries(_RATIO_WORDS)
        name = table.checked_name(key_node)
        if name in taken:
            raise table.error(key_node, f"`{name}` names a column too; rename one.")
        ratios.append(
            Ratio(
                name=name,
                numerator=entry.choice("numerator", numbers),
                denominator=entry.choice("denominator", numbers),
                scale=entry.whole_number("scale", default=1),
                meaning=entry.text("meaning"),
            )
        )
    table.entries()
    return tuple(ratios)


def _read_folder(
    folder: str,
    first_word: str,
    parse: Callable[[str, str], _T],
    readable: Iterable[str] | None = None,
) -> tuple[_T, ...]:
    """The files of a folder whose header begins with ``first_word``, by name."""
    found: dict[str, _T] = {}
    for file in _sql_files(folder):
        text, place = file.read_text("utf-8"), f"{folder}/{file.name}"
        if not split_file(text, place)[0].has(first_word):
            continue
        item = parse(text, place)
        if f"{item.name}.sql" != file.name:
            raise MetricError(f"{place}:1: holds `{item.name}`; name the file {item.name}.sql.")
        found[item.name] = item
    items = tuple(found[name] for name in sorted(found))
    if readable is not None:
        _refuse_unknown_reads(items, readable)
    return items


def _sql_files(folder: str) -> list[Traversable]:
    root = resources.files("clickstream_guardian.metrics") / folder
    return [file for file in root.iterdir() if file.name.endswith(".sql")]


def _refuse_unknown_reads(items: Iterable[_Named], readable: Iterable[str]) -> None:
    known = set(readable)
    for item in items:
        for name in item.reads:
            if name not in known:
                words = ", ".join(sorted(known))
                raise MetricError(
                    f"{item.place}:1: reads `{name}`, which is not there; there are {words}."
                )
