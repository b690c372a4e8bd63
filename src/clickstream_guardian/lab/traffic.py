"""One day of clean traffic, made from the laws of its parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.browsing import Browser, Contexts, build_browser, build_contexts
from clickstream_guardian.lab.catalogue import Catalogue, build_catalogue
from clickstream_guardian.lab.columns import Clicks, Floats, Ints, Purchases
from clickstream_guardian.lab.days import SLOTS, Day, Stream
from clickstream_guardian.lab.parameters import Parameters
from clickstream_guardian.lab.purchases import Counter, build_counter
from clickstream_guardian.lab.visits import Clock, build_clock


@dataclass(frozen=True)
class Shop:
    """The shop with its catalogue and its public: everything that days have in common."""

    parameters: Parameters
    catalogue: Catalogue
    clock: Clock
    browser: Browser
    contexts: Contexts
    counter: Counter
    _week_tables: dict[int, Floats] = field(default_factory=dict)

    def week_table(self, week: int) -> Floats:
        """The catalogue's popularity in a week; the last one asked for is remembered."""
        table = self._week_tables.get(week)
        if table is None:
            table = self.catalogue.week_table(week)
            self._week_tables.clear()
            self._week_tables[week] = table
        return table


def open_shop(parameters: Parameters) -> Shop:
    """The shop that the parameters describe."""
    catalogue = build_catalogue(parameters.items, parameters.buying)
    return Shop(
        parameters=parameters,
        catalogue=catalogue,
        clock=build_clock(parameters.arrivals, parameters.visits),
        browser=build_browser(parameters.items, catalogue),
        contexts=build_contexts(parameters.categories),
        counter=build_counter(parameters.arrivals, parameters.items, parameters.buying, catalogue),
    )


@dataclass(frozen=True)
class DayIds:
    """The session ids of one part of a day: scattered, and none given twice.

    Clean sessions take them from the front, injected ones from the back, so that the two cannot
    meet and yet look alike.
    """

    clean: Ints
    spare: Ints


def draw_ids(day: Day) -> DayIds:
    """Ids for the sessions of the day; the days of a week interleave."""
    slots = day.stream(Stream.IDS).permutation(SLOTS)
    if day.sessions > SLOTS:
        raise UsageError(f"{day.day} has {day.sessions} sessions in one part; lower the scale.")
    ids = day.first_id + 7 * slots
    return DayIds(clean=ids[: day.sessions], spare=ids[day.sessions :][::-1])


def draw_day(shop: Shop, day: Day, ids: Ints) -> tuple[Clicks, Purchases]:
    """The clean clicks and purchases of one part of a day, sessions in no order of time."""
    generator = day.stream(Stream.PEOPLE)
    sessions = shop.clock.draw_sessions(generator, day)
    community = shop.browser.draw_communities(generator, day.sessions)
    table = shop.week_table(day.week)
    clicks = Clicks(
        session_id=ids[sessions.owner],
        at_ms=shop.clock.draw_instants(generator, sessions),
        ordinal=sessions.ordinal,
        item=shop.browser.draw_items(generator, sessions, community, table),
        category=shop.contexts.draw(generator, sessions, day),
    )
    buyers = day.stream(Stream.PURCHASES)
    return clicks, shop.counter.draw(buyers, day, sessions, community, clicks)
