"""Labelled attacks put on top of files of clean traffic: `guardian lab inject`."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.decode import Layout, base_columns
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.lab.attacks.injection import Injection, inject
from clickstream_guardian.lab.attacks.plan import AttackPlan, load_plan
from clickstream_guardian.lab.columns import Clicks, Columns, Ints, Purchases
from clickstream_guardian.lab.dataset import (
    CLICKS_FILE,
    LABELS_FILE,
    PURCHASES_FILE,
    DatasetWriter,
)
from clickstream_guardian.lab.days import SLOTS, Day
from clickstream_guardian.lab.merging import merged
from clickstream_guardian.lab.seen import SeenShop, see_shop
from clickstream_guardian.sources.lines import check_file, fingerprint
from clickstream_guardian.sources.spool import Order, Spool, build_spool, file_layout


@dataclass(frozen=True)
class OverlayReport:
    """What was put on top, and where the new files lie.

    `sessions` counts the injected ones by the attack's name; `clicks` and `purchases` their lines.
    """

    clicks_file: Path
    purchases_file: Path
    labels_file: Path
    first_day: date
    last_day: date
    sessions: Mapping[str, int]
    clicks: int
    purchases: int


def overlay(
    clicks: Path,
    purchases: Path | None,
    out_dir: Path,
    *,
    attacks: str = "trial",
    families: Collection[str] = (),
    strengths: Collection[str] = (),
    share: float | None = None,
    seed: int = 1,
) -> OverlayReport:
    """Write copies of files with labelled attacks among their lines.

    The files' own lines stay as they are, in their order. The attacks of a day are drawn from its
    own clean sessions and its own items, so the same files, choice and seed give the same bytes.

    Args:
        clicks: A file of clicks, as `guardian replay` takes it; taken for clean.
        purchases: Its purchases; without it the new file holds those of the attacks alone.
        out_dir: The folder; made if missing. Files of the same names are replaced.
        attacks: `default`, `trial` or the path of a YAML plan.
        families: Only these; without any, all of the plan.
        strengths: Only these (`control` are those that must not be judged).
        share: Attacking sessions beside a day's clean ones, all together; else as the plan says.
        seed: Makes every random number.

    Raises:
        UsageError: A file, the plan or the choice makes no sense, or the folder cannot be written.
        GuardianError: Writing failed; nothing is left behind.
    """
    plan = load_plan(attacks).chosen(families, strengths)
    plan = plan if share is None else plan.scaled(share)
    if seed < 0:
        raise UsageError(f"The seed {seed} is negative; use 0 or a positive whole number.")
    for path in filter(None, (clicks, purchases)):
        check_file(path)
        if path.resolve() in {(out_dir / name).resolve() for name in (CLICKS_FILE, PURCHASES_FILE)}:
            raise UsageError(f"{path} would be written over; choose another folder than {out_dir}.")
    with DatasetWriter(out_dir) as writer:
        return _write(clicks, purchases, writer, out_dir, plan, seed)


@dataclass
class _Ids:
    """Session ids that the files do not hold: numbers above all of theirs, or hashes."""

    first: int | None
    salt: str
    given: int = 0

    def spare(self) -> Ints:
        """Enough for a day."""
        start = (self.first or 0) + self.given
        return np.arange(start, start + SLOTS)

    def text(self, number: int) -> str:
        """As it stands in the files."""
        return str(number) if self.first is not None else _hash(self.salt, number)[:16]


def _write(
    clicks: Path,
    purchases: Path | None,
    writer: DatasetWriter,
    folder: Path,
    plan: AttackPlan,
    seed: int,
) -> OverlayReport:
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".overlay-") as scratch:
        seen = _spool(scratch, clicks, CLICK, now)
        bought = _spool(scratch, purchases, PURCHASE, now) if purchases else None
        shop = see_shop(seen, bought)
        ids = _Ids(shop.first_id, f"{seed} {fingerprint(clicks)}")
        days = tuple(_attack(shop, seen, plan, seed, ids))
    layouts = (_layout(clicks, CLICK), _layout(purchases, PURCHASE))
    lines = (
        _lines(shop.items, ids, layouts[0], [day.clicks for day in days]),
        _lines(shop.items, ids, layouts[1], [day.purchases for day in days]),
    )
    labels = [label for day in days for label in day.labels]
    writer.labels([replace(one, session_id=ids.text(int(one.session_id))) for one in labels])
    for part in merged(clicks, layouts[0], lines[0], now):
        writer.clicks(part)
    for part in merged(purchases, layouts[1], lines[1], now):
        writer.purchases(part)
    return OverlayReport(
        folder / CLICKS_FILE,
        folder / PURCHASES_FILE,
        folder / LABELS_FILE,
        seen.days[0],
        seen.days[-1],
        dict(Counter(label.attack for label in labels)),
        len(lines[0]),
        len(lines[1]),
    )


def _spool(scratch: str, path: Path, kind: EventKind, now: datetime) -> Spool:
    return build_spool(Path(scratch) / kind.name, path, kind, Order.TIME, now)


def _layout(path: Path | None, kind: EventKind) -> Layout:
    if path is None:
        return Layout(kind, base_columns(kind), header=False)
    return file_layout(path, kind)


def _attack(
    shop: SeenShop, clicks: Spool, plan: AttackPlan, seed: int, ids: _Ids
) -> Iterator[Injection]:
    """The attacks of each day, one day held at a time."""
    for day in clicks.days:
        events = clicks.day(day)
        clean = shop.columns(events)
        sessions = int((clean.ordinal == 0).sum())
        injection = inject(
            shop.ground(events), Day(seed, day, sessions, 1.0), plan, ids.spare(), clean
        )
        ids.given += len(injection.labels)
        yield injection


def _lines(
    items: pl.DataFrame, ids: _Ids, layout: Layout, parts: Sequence[Clicks] | Sequence[Purchases]
) -> pl.DataFrame:
    """Events as lines of a file's own layout, by time: ``occurred_at`` and ``line``."""
    rows = type(parts[0]).join(parts)  # type: ignore[arg-type]
    at = pl.from_epoch(pl.Series(rows.at_ms), time_unit="ms").dt.cast_time_unit("us")
    item = items[rows.item]
    numbers = pl.Series(rows.session_id)
    known = {int(number): ids.text(int(number)) for number in numbers.unique()}
    texts = {
        "session_id": numbers.replace_strict(known, return_dtype=pl.String),
        "occurred_at": at.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        "item_id": item["item_id"],
        "category": item["category"].fill_null("0"),
        **_amounts(rows),
    }
    if "given_id" in layout.columns:
        texts["given_id"] = _event_ids(rows, layout.kind, ids)
    fields = [texts.get(name, pl.lit("")) for name in layout.columns]
    named = [field.alias(f"c{n}") for n, field in enumerate(fields)]
    frame = pl.select(occurred_at=at).select("occurred_at", *named)
    line = pl.concat_str(pl.exclude("occurred_at"), separator=",")
    return frame.select("occurred_at", line=line).sort("occurred_at", maintain_order=True)


def _amounts(rows: Columns) -> dict[str, pl.Series]:
    """Price and quantity of purchase lines; an unknown price is left empty."""
    if not isinstance(rows, Purchases):
        return {}
    price = [f"{cents / 100:.2f}".removesuffix(".00") if cents else "" for cents in rows.price]
    return {
        "price": pl.Series(price, dtype=pl.String),
        "quantity": pl.Series(rows.quantity).cast(pl.String),
    }


def _event_ids(rows: Columns, kind: EventKind, ids: _Ids) -> pl.Series:
    pairs = zip(rows.session_id.tolist(), rows.ordinal.tolist(), strict=True)
    return pl.Series([_hash(ids.salt, kind.name, *pair) for pair in pairs], dtype=pl.String)


def _hash(*parts: object) -> str:
    """32 hex digits."""
    return hashlib.blake2b(" ".join(map(str, parts)).encode(), digest_size=16).hexdigest()
