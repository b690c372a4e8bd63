"""Looks at the database and the servers: what conditions and anomalies are judged by."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clickstream_guardian.alerts.conditions import Pool, Seen, rejected_so_far
from clickstream_guardian.alerts.model import AlertKey, Concern, Source, Told
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.rules.model import Severity
from clickstream_guardian.store import Store
from clickstream_guardian.store.alerts import (
    SessionAnomalies,
    changed_sessions,
    connections_in_use,
    newest_change,
)
from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.store.read_status import status as status_query
from clickstream_guardian.store.system_status import system_status

Probe = Callable[[], Mapping[str, str | None]]
"""Looks at servers: of each what it says of itself, None if it is well."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Sight:
    """One look: conditions, and the anomalies to judge; ``change`` is the last one seen."""

    seen: Seen
    anomalies: tuple[Concern, ...]
    change: int


class Look:
    """Looks again and again.

    Args:
        store: the serving database; it may be away.
        probe: looks at the other servers.
        change: the last change of an anomaly that was judged before; None begins at the newest.
    """

    def __init__(self, store: Store, probe: Probe, change: int | None = None) -> None:
        self._store = store
        self._probe = probe
        self._change = change
        self._rejected: deque[tuple[datetime, int]] = deque()

    def look(self, told: Mapping[AlertKey, Told]) -> Sight:
        """What there is now; a database that is away is something seen, not an error."""
        now = datetime.now(UTC)
        services = dict(self._probe())
        try:
            return self._look(now, services, told)
        except GuardianError as error:
            services["database"] = str(error)
            return Sight(Seen(now, None, services=services), (), self._change or 0)

    def judged(self, sight: Sight) -> None:
        """The anomalies of this sight are told of or kept: go on behind them."""
        if sight.seen.status is not None:
            self._change = sight.change

    def _look(
        self, now: datetime, services: dict[str, str | None], told: Mapping[AlertKey, Told]
    ) -> Sight:
        besides = [(k.rule, k.key) for k, was in told.items() if was.source is Source.ANOMALY]
        with self._store.begin() as connection:
            query = status_query()
            row = driver_connection(connection).execute(query.sql.encode()).fetchone()
            pool = Pool(*connections_in_use(connection))
            newest = newest_change(connection)
            after = newest if self._change is None else self._change
            groups = changed_sessions(connection, after, newest, besides)
        read = json.loads(row[0]) if row else {}
        status = system_status(read)
        before = self._rejected_before(now, rejected_so_far(status))
        error = read["snapshots"].get("batch", {"value": {"error": None}})["value"]["error"]
        services["database"] = None
        seen = Seen(now, status, pool, error, services, before)
        return Sight(seen, tuple(map(_concern, groups)), newest)

    def _rejected_before(self, now: datetime, count: int) -> int:
        self._rejected.append((now, count))
        while now - self._rejected[0][0] > _HOUR:
            self._rejected.popleft()
        return self._rejected[0][1]


def _concern(group: SessionAnomalies) -> Concern:
    return Concern(
        Source.ANOMALY,
        AlertKey(group.rule, group.session_id),
        Severity[group.severity.upper()],
        group.explanation,
        group.count,
    )
