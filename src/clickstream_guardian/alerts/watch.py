"""Watching: look, decide, keep, tell; again and again, whatever is away.

The order of one round, and what a crash in it leaves:

1. look, and decide what there is to tell;
2. keep the notices as ``pending``, with the place in the anomalies, in one transaction;
3. deliver them as one message;
4. mark them.

Killed before 2, the next start decides again. Killed between 2 and 4, it delivers what is pending:
a notice may go out twice then, and none is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from clickstream_guardian.alerts.conditions import Thresholds, conditions
from clickstream_guardian.alerts.decide import decide, remember, watch_ends
from clickstream_guardian.alerts.deliver import FILE, Delivered, Delivery
from clickstream_guardian.alerts.look import Look, Probe, Sight
from clickstream_guardian.alerts.message import compose
from clickstream_guardian.alerts.model import (
    AlertKey,
    Concern,
    Notice,
    Policy,
    Silence,
    Source,
    State,
    Told,
)
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.rules.model import Severity
from clickstream_guardian.store import Store
from clickstream_guardian.store.alerts import (
    AlertRow,
    last_alerts,
    list_alerts,
    list_silences,
    mark_alerts,
    save_alerts,
)
from clickstream_guardian.store.snapshots import load_alert_change, save_alert_change
from clickstream_guardian.telemetry.log import Event, tell

_PENDING_AT_ONCE = 1000


class Watch:
    """Tells of what is wrong, once, to whoever can be reached.

    Args:
        store: the serving database, where history and silences are.
        delivery: how messages go out.
        probe: looks at servers beside the database.
        policy: what is told, and how often.
        limits: from where on something is wrong.
    """

    def __init__(
        self, store: Store, delivery: Delivery, probe: Probe, policy: Policy, limits: Thresholds
    ) -> None:
        self._store, self._delivery = store, delivery
        self._policy, self._limits = policy, limits
        self._told: dict[AlertKey, Told] = {}
        self._unkept: list[AlertRow] = []
        self._silences: Sequence[Silence] = ()
        with store.begin() as connection:
            change = load_alert_change(connection)
            for row in last_alerts(connection, 2 * policy.cooldown):
                self._told[AlertKey(row.rule, row.key)] = _told(row)
        self._look = Look(store, probe, change)

    def begin(self) -> int:
        """Deliver what an earlier run kept and did not mark; how many notices."""
        with self._store.begin() as connection:
            pending = list_alerts(connection, _PENDING_AT_ONCE, "pending")
        self._tell([number for number, _ in pending], [_notice(row) for _, row in pending])
        return len(pending)

    def round(self) -> list[Notice]:
        """Look once, and tell what there is to tell."""
        sight = self._look.look(self._told)
        now = sight.seen.at
        self._read_silences()
        concerns = [*conditions(sight.seen, self._limits), *sight.anomalies]
        known = dict(self._told) if sight.seen.status is not None else _of_services(self._told)
        watch_ends(known, concerns, now)
        self._told |= known
        notices = decide(concerns, known, self._silences, self._policy, now)
        kept = self._keep(sight, notices)
        remember(self._told, notices, now)
        self._forget(now)
        loud = [one for one in notices if not one.silenced]
        if kept is None:
            self._tell_unkept(loud, now)
        else:
            pairs = zip(kept, notices, strict=True)
            self._tell([number for number, one in pairs if not one.silenced], loud)
        return notices

    def run(self, stop: threading.Event, seconds: float, say: Callable[[str], None]) -> None:
        """Go round until told to stop; a round that fails is told of, and the next one tries again.

        Args:
            stop: ends it.
            seconds: the pause between two rounds.
            say: told what failed.
        """
        steps: list[Callable[[], object]] = [self.begin, self.round]
        while not stop.is_set():
            try:
                steps[0]()
                del steps[:-1]
            except Exception as error:  # nobody else is left to tell of it
                say(f"Looking for alerts failed ({error}); trying again in {seconds:g} s.")
            stop.wait(seconds if len(steps) == 1 else 0)

    def _read_silences(self) -> None:
        with suppress(GuardianError), self._store.begin() as connection:
            self._silences = [
                Silence(one.rule, one.key, one.until_at) for one in list_silences(connection)
            ]

    def _keep(self, sight: Sight, notices: Sequence[Notice]) -> list[int] | None:
        """Numbers of the notices in the history; None while the database is away."""
        if sight.seen.status is None:
            return None
        rows = [_row(one, sight.seen.at) for one in notices]
        try:
            with self._store.begin() as connection:
                save_alerts(connection, self._unkept)
                numbers = save_alerts(connection, rows)
                save_alert_change(connection, sight.change)
        except GuardianError:
            return None
        self._unkept.clear()
        self._look.judged(sight)
        return numbers

    def _tell(self, numbers: Sequence[int], notices: Sequence[Notice]) -> None:
        if not notices:
            return
        done = self._deliver(notices)
        outcome = "filed" if done.channel == FILE else "delivered"
        with suppress(GuardianError), self._store.begin() as connection:
            mark_alerts(connection, numbers, outcome, done.channel, done.attempts)

    def _deliver(self, notices: Sequence[Notice]) -> Delivered:
        message = compose(notices)
        done = self._delivery.deliver(message)
        tell(
            Event.ALERT_TOLD,
            title=message.title,
            severity=message.severity.label,
            channel=done.channel,
            attempts=done.attempts,
        )
        return done

    def _tell_unkept(self, notices: Sequence[Notice], now: datetime) -> None:
        """Tell what cannot be kept now; it enters the history when the database is back."""
        if not notices:
            return
        done = self._deliver(notices)
        outcome = "filed" if done.channel == FILE else "delivered"
        self._unkept += [
            replace(
                _row(one, now),
                outcome=outcome,
                channel=done.channel,
                attempts=done.attempts,
                delivered_at=now,
            )
            for one in notices
        ]

    def _forget(self, now: datetime) -> None:
        """Let go of sessions that have been quiet for two cooldowns, and of what is over."""
        old = [
            about
            for about, was in self._told.items()
            if (was.source is Source.ANOMALY or was.state is State.OVER)
            and now - was.at > 2 * self._policy.cooldown
        ]
        for about in old:
            del self._told[about]


def _of_services(told: Mapping[AlertKey, Told]) -> dict[AlertKey, Told]:
    """What can be judged while the database is away."""
    return {about: was for about, was in told.items() if was.source is Source.SERVICE}


def _row(notice: Notice, now: datetime) -> AlertRow:
    concern = notice.concern
    return AlertRow(
        str(concern.source),
        concern.about.rule,
        concern.about.key,
        concern.severity.label,
        str(notice.state),
        concern.summary,
        concern.count,
        notice.added,
        now,
        "silenced" if notice.silenced else "pending",
    )


def _notice(row: AlertRow) -> Notice:
    severity = Severity[row.severity.upper()]
    about = AlertKey(row.rule, row.key)
    concern = Concern(Source(row.source), about, severity, row.summary, row.count)
    return Notice(concern, State(row.state), row.added)


def _told(row: AlertRow) -> Told:
    severity = Severity[row.severity.upper()]
    return Told(Source(row.source), severity, row.count, row.noticed_at, State(row.state))
