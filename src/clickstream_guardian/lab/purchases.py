"""Who buys, and what: the purchase lines of a day's sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.catalogue import Catalogue
from clickstream_guardian.lab.columns import Bools, Clicks, Floats, Index, Ints, Purchases
from clickstream_guardian.lab.days import Day
from clickstream_guardian.lab.parameters import Arrivals, Buying, Items
from clickstream_guardian.lab.visits import Sessions, pick, running_shares

_HIGHEST_RATE = 0.95


@dataclass(frozen=True)
class Basket:
    """What buying sessions take: one row per session and item, sorted by session."""

    session: npt.NDArray[np.intp]
    item: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Counter:
    """The laws of buying; each rate table is beside the share of buyers of all sessions."""

    settings: Buying
    catalogue: Catalogue
    by_length: Floats
    by_hour: Floats
    by_community: Floats
    distinct: Floats

    def draw(
        self,
        generator: np.random.Generator,
        day: Day,
        sessions: Sessions,
        community: Index,
        clicks: Clicks,
    ) -> Purchases:
        """The purchase lines of the day, session by session in the order of the sessions."""
        rate = self.by_length[sessions.length - 1] * self.by_hour[sessions.hour]
        rate *= self.by_community[community] * day.buy_factor
        buys = generator.random(len(rate)) < np.minimum(rate, _HIGHEST_RATE)
        basket = self._repeat(generator, self._choose(generator, sessions, clicks, buys))
        last = sessions.first + sessions.length - 1
        return self._lines(generator, basket, clicks, last)

    def _choose(
        self, generator: np.random.Generator, sessions: Sessions, clicks: Clicks, buys: Bools
    ) -> Basket:
        """Distinct clicked items for every buyer, the often clicked ones first."""
        rows = np.flatnonzero(buys[sessions.owner])
        item_count = len(self.catalogue.item_id)
        pair = sessions.owner[rows].astype(np.int64) * item_count + clicks.item[rows]
        pair, times = np.unique(pair, return_counts=True)
        session, item = np.divmod(pair, item_count)
        eagerness = generator.standard_exponential(len(pair)) / times
        order = np.lexsort((eagerness, session))
        session, item = session[order], item[order]
        wanted = pick(self.distinct, generator.random(len(sessions.length))) + 1
        taken = ordinals(session) < wanted[session]
        return Basket(session[taken], item[taken].astype(np.int32))

    def _repeat(self, generator: np.random.Generator, basket: Basket) -> Basket:
        """Some buyers take the same item on several lines."""
        first = np.flatnonzero(ordinals(basket.session) == 0)
        count = len(first)
        more = generator.geometric(self.settings.repeat_stop, count)
        more *= generator.random(count) < self.settings.repeats
        sizes = np.diff(np.append(first, len(basket.session)))
        which = np.repeat(first, more) + (
            generator.random(int(more.sum())) * np.repeat(sizes, more)
        ).astype(np.int64)
        rows = np.sort(np.concatenate([np.arange(len(basket.session)), which]))
        return Basket(basket.session[rows], basket.item[rows])

    def _lines(
        self,
        generator: np.random.Generator,
        basket: Basket,
        clicks: Clicks,
        last_click: npt.NDArray[np.int32],
    ) -> Purchases:
        """Instants after the last click; price and quantity, unknown for whole sessions."""
        settings = self.settings
        ordinal = ordinals(basket.session)
        first = np.flatnonzero(ordinal == 0)
        owner = np.cumsum(ordinal == 0) - 1
        mu = np.log(settings.delay_median_seconds)
        delay = generator.lognormal(mu, settings.delay_sigma, len(first))
        delay_ms = (np.minimum(delay, settings.delay_limit_seconds) * 1000).astype(np.int64)
        step = generator.integers(1, settings.line_gap_ms + 2, len(first))
        last = last_click[basket.session]
        known = generator.random(len(first)) >= settings.unknown_price
        more = generator.geometric(1 - settings.more_than_one, len(owner))
        known_line = known[owner]
        return Purchases(
            session_id=clicks.session_id[last],
            at_ms=clicks.at_ms[last] + delay_ms[owner] + step[owner] * ordinal,
            ordinal=ordinal.astype(np.int32),
            item=basket.item,
            price=np.where(known_line, self.catalogue.price[basket.item], 0).astype(np.int32),
            quantity=np.where(known_line, more, 0).astype(np.int32),
        )


def ordinals(session: Index) -> Ints:
    """The place of each row among the rows of its session, which stand together."""
    rows = np.arange(len(session), dtype=np.int64)
    starts = np.ones(len(session), dtype=np.bool_)
    starts[1:] = session[1:] != session[:-1]
    return rows - np.maximum.accumulate(np.where(starts, rows, 0))


def build_counter(
    arrivals: Arrivals,
    items: Items,
    buying: Buying,
    catalogue: Catalogue,
) -> Counter:
    """The laws that the parameters describe: hour and community as factors around 1."""
    by_hour = np.array(arrivals.hour_buy_rate)
    by_community = np.array(items.community_buy_rate)
    return Counter(
        settings=buying,
        catalogue=catalogue,
        by_length=np.array(buying.rate_by_length),
        by_hour=by_hour / np.average(by_hour, weights=arrivals.hour_share),
        by_community=by_community / np.average(by_community, weights=items.community_session_share),
        distinct=running_shares(buying.distinct_items),
    )
