"""The numbers the generator is calibrated by: one JSON file, checked when it is read."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from clickstream_guardian.errors import UsageError

T = TypeVar("T")


def _number(
    low: float | None = None,
    high: float | None = None,
    *,
    count: int | None = None,
    at_least: int | None = None,
) -> Any:
    """A field whose number, or whose every number, lies in a range; lists may have a fixed size."""
    return dataclasses.field(
        metadata={"low": low, "high": high, "count": count, "at_least": at_least}
    )


@dataclass(frozen=True)
class Arrivals:
    """When sessions begin: a daily series, and a weekday model for days outside it."""

    first_day: date
    daily_sessions: tuple[float, ...] = _number(0, at_least=1)
    daily_buy_rate: tuple[float, ...] = _number(0, 1, at_least=1)
    total_sessions: int = _number(1)
    weekday_share: tuple[float, ...] = _number(0, count=7)
    weekday_buy_rate: tuple[float, ...] = _number(0, 1, count=7)
    level_sessions: float = _number(0)
    noise_sigma: float = _number(0, 1)
    hour_share: tuple[float, ...] = _number(0, count=24)
    hour_buy_rate: tuple[float, ...] = _number(0, 1, count=24)
    outage_sessions_factor: float = _number(0, 1)
    outage_buy_factor: float = _number(0, 1)


@dataclass(frozen=True)
class Visits:
    """How long sessions are and how fast people click."""

    length_sessions: tuple[float, ...] = _number(0, at_least=1)
    dwell_probability: tuple[float, ...] = _number(0, 1, at_least=2)
    dwell_seconds: tuple[float, ...] = _number(0.001, 3599.999, at_least=2)
    dwell_session_share: float = _number(0, 1)
    dwell_length_slope: float = _number(0, 0.5)


@dataclass(frozen=True)
class Items:
    """The catalogue, its communities, and how a person moves through it."""

    catalogue_seed: int = _number(0)
    community_items: tuple[int, ...] = _number(1, at_least=1)
    community_session_share: tuple[float, ...] = _number(0, at_least=1)
    community_buy_rate: tuple[float, ...] = _number(0, 1, at_least=1)
    rank_offset: float = _number(0)
    rank_exponent: float = _number(0)
    rank_scale: float = _number(1)
    rank_noise_sigma: float = _number(0)
    tail_weight: float = _number(0)
    cycle_weeks: int = _number(1)
    half_life_weeks: float = _number(0.01)
    half_life_sigma: float = _number(0)
    family_items: int = _number(1, 5)
    same_item: float = _number(0, 1)
    earlier_item: float = _number(0, 1)
    family_item: float = _number(0, 1)
    own_community: float = _number(0, 1)


@dataclass(frozen=True)
class Categories:
    """The context of a click; before the switch day every category is missing."""

    switch_day: date
    names: tuple[str, ...] = _number(at_least=1)
    shares: tuple[float, ...] = _number(0, at_least=1)
    brands: int = _number(0, 200)
    brand_share: float = _number(0, 1)
    single_context: float = _number(0, 1)
    keep: float = _number(0, 1)


@dataclass(frozen=True)
class Buying:
    """Who buys, what, when and for how much."""

    rate_by_length: tuple[float, ...] = _number(0, 1, at_least=1)
    distinct_items: tuple[float, ...] = _number(0, at_least=1)
    repeats: float = _number(0, 1)
    repeat_stop: float = _number(0.01, 1)
    delay_median_seconds: float = _number(0.001)
    delay_sigma: float = _number(0)
    delay_limit_seconds: float = _number(1)
    line_gap_ms: int = _number(0)
    unknown_price: float = _number(0, 1)
    price_unit: float = _number(0.01)
    price_median_units: float = _number(1)
    price_sigma: float = _number(0)
    price_limit: int = _number(1)
    more_than_one: float = _number(0, 0.99)


@dataclass(frozen=True)
class Parameters:
    """Everything the generator knows about the data set it imitates."""

    arrivals: Arrivals
    visits: Visits
    items: Items
    categories: Categories
    buying: Buying


@cache
def default_parameters() -> Parameters:
    """The calibrated parameters that come with the program."""
    return load_parameters(Path(str(resources.files(__package__) / "parameters.json")))


def load_parameters(path: Path) -> Parameters:
    """Read a parameter file.

    Raises:
        UsageError: The file cannot be read, or a value is missing, unknown or out of its range.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read the parameter file {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a JSON file: {error}.") from error
    try:
        parameters = _build(Parameters, data, "")
        _check_pairs(parameters)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return parameters


def _build(kind: type[T], data: object, place: str) -> T:
    """A dataclass from a mapping that has exactly its fields."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{place or 'the file'} must be an object of named values.")
    prefix = f"{place}." if place else ""
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in sorted(set(data) - set(known)):
        raise ValueError(f"{prefix}{name} is not known; the names are {', '.join(known)}.")
    for name in known:
        if name not in data:
            raise ValueError(f"{prefix}{name} is missing; add it.")
    types = typing.get_type_hints(kind)
    values = {
        name: _value(types[name], data[name], f"{prefix}{name}", field.metadata)
        for name, field in known.items()
    }
    return kind(**values)


def _value(kind: Any, data: object, place: str, limits: Mapping[str, Any]) -> object:
    """One value of the type asked for, inside its limits."""
    if dataclasses.is_dataclass(kind):
        return _build(kind, data, place)  # type: ignore[arg-type]
    if typing.get_origin(kind) is tuple:
        if not isinstance(data, list):
            raise ValueError(f"{place} must be a list.")
        _check_count(data, place, limits)
        element = typing.get_args(kind)[0]
        return tuple(_value(element, one, f"{place}[{n}]", limits) for n, one in enumerate(data))
    if kind is date:
        return _day(data, place)
    accepted = (int, float) if kind is float else kind
    if isinstance(data, bool) or not isinstance(data, accepted):
        raise ValueError(f"{place} is {data!r}; it must be a {_WORD[kind]}.")
    if kind is not str:
        _check_range(data, place, limits)
    return kind(data)


_WORD = {int: "whole number", float: "number", str: "text"}


def _day(data: object, place: str) -> date:
    try:
        return date.fromisoformat(str(data))
    except ValueError:
        raise ValueError(f"{place} is {data!r}; write a day as YYYY-MM-DD.") from None


def _check_count(data: list[object], place: str, limits: Mapping[str, Any]) -> None:
    count, at_least = limits.get("count"), limits.get("at_least")
    if count is not None and len(data) != count:
        raise ValueError(f"{place} has {len(data)} values; it must have {count}.")
    if at_least is not None and len(data) < at_least:
        raise ValueError(f"{place} has {len(data)} values; it must have at least {at_least}.")


def _check_range(value: Any, place: str, limits: Mapping[str, Any]) -> None:
    low, high = limits.get("low"), limits.get("high")
    if low is not None and not value >= low:
        raise ValueError(f"{place} is {value}; it must be at least {low}.")
    if high is not None and not value <= high:
        raise ValueError(f"{place} is {value}; it must be at most {high}.")


def _check_pairs(parameters: Parameters) -> None:
    """Lists that describe the same things have the same size; shares leave something over."""
    for name, partner in _PARTNERS.items():
        one, other = _find(parameters, name), _find(parameters, partner)
        if len(one) != len(other):
            raise ValueError(f"{name} has {len(one)} values; {partner} has {len(other)}.")
    for name in ("visits.dwell_probability", "visits.dwell_seconds"):
        if any(low >= high for low, high in pairwise(_find(parameters, name))):
            raise ValueError(f"{name} must rise from value to value.")
    for name in _WEIGHTS:
        if sum(_find(parameters, name)) <= 0:
            raise ValueError(f"{name} must have a value above 0.")
    items = parameters.items
    if items.same_item + items.earlier_item + items.family_item > 1:
        raise ValueError("items.same_item, earlier_item and family_item add up to more than 1.")
    if "0" not in parameters.categories.names:
        raise ValueError('categories.names must hold "0", the missing category.')


_PARTNERS = {
    "arrivals.daily_buy_rate": "arrivals.daily_sessions",
    "visits.dwell_seconds": "visits.dwell_probability",
    "items.community_session_share": "items.community_items",
    "items.community_buy_rate": "items.community_items",
    "categories.shares": "categories.names",
    "buying.rate_by_length": "visits.length_sessions",
}
_WEIGHTS = (
    "arrivals.daily_sessions",
    "arrivals.weekday_share",
    "arrivals.hour_share",
    "visits.length_sessions",
    "items.community_session_share",
    "categories.shares",
    "buying.distinct_items",
)


def _find(parameters: Parameters, name: str) -> tuple[Any, ...]:
    section, _, field = name.partition(".")
    values: tuple[Any, ...] = getattr(getattr(parameters, section), field)
    return values
