"""Generates a data set: calibrated days of traffic with labelled attacks, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.arrival import ArrivalCounts, Disturbance
from clickstream_guardian.lab.attacks.ground import ShopGround
from clickstream_guardian.lab.attacks.injection import inject
from clickstream_guardian.lab.attacks.plan import AttackPlan, load_plan
from clickstream_guardian.lab.batches import Batch, DayTraffic, in_arrival_order, in_session_order
from clickstream_guardian.lab.calibration import CalibrationRow, measure_calibration
from clickstream_guardian.lab.columns import Clicks, Purchases
from clickstream_guardian.lab.dataset import (
    CLICKS_FILE,
    LABELS_FILE,
    PURCHASES_FILE,
    DatasetWriter,
)
from clickstream_guardian.lab.days import Day, midnight_ms, plan_days
from clickstream_guardian.lab.lines import LineWriter, text_table
from clickstream_guardian.lab.parameters import Parameters, default_parameters, load_parameters
from clickstream_guardian.lab.sample import Sampler
from clickstream_guardian.lab.traffic import Shop, draw_day, draw_ids, open_shop

Progress = Callable[[int, int], None]
"""Told after each day how many days have been drawn, and how many there are."""


@dataclass(frozen=True)
class GenerationReport:
    """What was generated, where it lies and how near it is to the data set.

    `clicks` and `purchases` count the lines of the files, repeats included; `attack_sessions` is
    by the attack's name. `calibration` measures clean sessions only.
    """

    clicks_file: Path
    purchases_file: Path
    labels_file: Path
    first_day: date
    last_day: date
    clean_sessions: int
    attack_sessions: Mapping[str, int]
    attack_clicks: int
    clicks: int
    purchases: int
    arrival: ArrivalCounts
    calibration: tuple[CalibrationRow, ...]


def write_dataset(
    out_dir: Path | str,
    *,
    sessions: int | None = None,
    scale: float = 1.0,
    days: tuple[date, date] | None = None,
    seed: int = 1,
    attacks: str = "default",
    disorder: float = 0.0,
    late: float = 0.0,
    duplicates: float = 0.0,
    outages: Collection[date] = (),
    parameters: Path | None = None,
    progress: Progress | None = None,
) -> GenerationReport:
    """Write `yoochoose-clicks.dat`, `yoochoose-buys.dat` and `labels.csv` into a folder.

    The same arguments and parameter file give the same bytes. Without disorder, late events and
    duplicates the files are as the data set's: sessions contiguous, in no order of time. With any
    of them the events stand in arrival order, with an event id as one more last column.

    Args:
        out_dir: The folder; made if missing. Files of the same names are replaced.
        sessions: Clean sessions in all; without it `scale` decides.
        scale: 1 is the traffic of the data set, about 50,000 sessions a day.
        days: First and last UTC day; without it the whole series (182 days, 33 million clicks).
        seed: Makes every random number.
        attacks: `default`, `trial`, `none` or the path of a YAML plan.
        disorder: Share of events displaced by less than the allowed lateness of 10 s.
        late: Share of events that arrive later than that.
        duplicates: Share of events that arrive twice.
        outages: Days on which nearly nothing arrives.
        parameters: A parameter file; without it the calibrated one.
        progress: Called after each day.

    Raises:
        UsageError: An argument, the plan or the parameter file makes no sense, or the folder
            cannot be written.
        GuardianError: Writing failed; nothing is left behind.
    """
    settings = load_parameters(parameters) if parameters else default_parameters()
    disturbance = Disturbance(disorder, late, duplicates)
    _check_shares(disturbance)
    first, last = days or _whole_series(settings)
    plan = plan_days(
        settings.arrivals, first, last, seed=seed, sessions=sessions, scale=scale, outages=outages
    )
    source = _Source(open_shop(settings), plan, load_plan(attacks), progress)
    batches = (
        in_arrival_order(plan, source.draw, disturbance)
        if disturbance.any
        else in_session_order(plan, source.draw)
    )
    folder = Path(out_dir)
    written = _write(folder, batches, source.shop, seed if disturbance.any else None)
    return GenerationReport(
        clicks_file=folder / CLICKS_FILE,
        purchases_file=folder / PURCHASES_FILE,
        labels_file=folder / LABELS_FILE,
        first_day=first,
        last_day=last,
        clean_sessions=sum(day.sessions for day in plan),
        attack_sessions=dict(source.attack_sessions),
        attack_clicks=source.attack_clicks,
        clicks=written.clicks,
        purchases=written.purchases,
        arrival=written.arrival,
        calibration=measure_calibration(settings, *source.sampler.samples()),
    )


def _check_shares(disturbance: Disturbance) -> None:
    for name in ("disorder", "late", "duplicates"):
        value = getattr(disturbance, name)
        if not 0 <= value <= 0.5:
            raise UsageError(f"The share {name} is {value}; use a number from 0 to 0.5.")


def _whole_series(parameters: Parameters) -> tuple[date, date]:
    first = parameters.arrivals.first_day
    return first, first + timedelta(days=len(parameters.arrivals.daily_sessions) - 1)


@dataclass
class _Written:
    clicks: int = 0
    purchases: int = 0
    arrival: ArrivalCounts = field(default_factory=ArrivalCounts)


def _write(folder: Path, batches: Iterable[Batch], shop: Shop, id_seed: int | None) -> _Written:
    """Write all batches, and count their lines."""
    lines = LineWriter(
        items=text_table([str(item) for item in shop.catalogue.item_id]),
        categories=text_table(shop.contexts.names),
        id_seed=id_seed,
    )
    written = _Written()
    with DatasetWriter(folder) as writer:
        for batch in batches:
            writer.labels(batch.labels)
            written.arrival += batch.arrival
            if batch.clicks is not None:
                writer.clicks(lines.clicks(batch.clicks))
                written.clicks += len(batch.clicks)
            if batch.purchases is not None:
                writer.purchases(lines.purchases(batch.purchases))
                written.purchases += len(batch.purchases)
    return written


class _Source:
    """Draws the days one after the other, and keeps a sample of their clean sessions."""

    def __init__(
        self, shop: Shop, plan: tuple[Day, ...], attacks: AttackPlan, progress: Progress | None
    ) -> None:
        self.shop = shop
        self.sampler = Sampler.for_plan(plan, midnight_ms(shop.parameters.categories.switch_day))
        self.attack_sessions: Counter[str] = Counter()
        self.attack_clicks = 0
        self._attacks = attacks
        self._progress = progress
        self._places = {day.day: place for place, day in enumerate(plan)}
        self._parts = sum(day.parts for day in plan)
        self._parts_drawn = 0

    def draw(self, day: Day) -> DayTraffic:
        """One part of a day, with its attacks."""
        ids = draw_ids(day)
        clicks, purchases = draw_day(self.shop, day, ids.clean)
        self.sampler.add(self._places[day.day], clicks, purchases)
        injection = inject(ShopGround(self.shop, day), day, self._attacks, ids.spare, clicks)
        self.attack_sessions.update(label.attack for label in injection.labels)
        self.attack_clicks += len(injection.clicks)
        self._parts_drawn += 1
        if self._progress is not None:
            self._progress(self._parts_drawn * len(self._places) // self._parts, len(self._places))
        return DayTraffic(
            Clicks.join([clicks, injection.clicks]),
            Purchases.join([purchases, injection.purchases]),
            injection.labels,
        )
