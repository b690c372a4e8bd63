"""Which concerns become notices. Pure: the clock is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from clickstream_guardian.alerts.model import (
    AlertKey,
    Concern,
    Notice,
    Policy,
    Silence,
    State,
    Told,
)


def decide(
    concerns: Iterable[Concern],
    told: Mapping[AlertKey, Told],
    silences: Sequence[Silence],
    policy: Policy,
    now: datetime,
) -> list[Notice]:
    """The notices of this moment, the most severe first.

    A concern is told of at once when it is new or has become more severe, and again when the
    cooldown has passed and it has lasted or grown. A condition that has ended is told once more.

    Args:
        concerns: what is wrong now; of the same rule and key at most one.
        told: what was last told, by rule and key.
        silences: what is not to be told.
        policy: what is told, and how often.
        now: this moment.
    """
    here = {one.about: one for one in concerns if one.severity >= policy.least}
    notices = [
        Notice(concern, state, concern.count - _counted(told.get(about)))
        for about, concern in here.items()
        if (state := _state(concern, told.get(about), policy, now)) is not None
    ]
    notices += [
        Notice(Concern(was.source, about, was.severity, "It is over."), State.OVER, 0)
        for about, was in told.items()
        if about not in here and was.state is not State.OVER and was.source.lasts
    ]
    ordered = sorted(notices, key=lambda one: (-one.concern.severity, one.concern.about))
    return [_silenced(one, silences, now) for one in ordered]


def remember(told: dict[AlertKey, Told], notices: Sequence[Notice], now: datetime) -> None:
    """Note what these notices tell; silenced ones too, so that they cool down like others."""
    for notice in notices:
        concern = notice.concern
        told[concern.about] = Told(
            concern.source, concern.severity, concern.count, now, notice.state
        )


def _state(concern: Concern, was: Told | None, policy: Policy, now: datetime) -> State | None:
    if was is None or was.state is State.OVER:
        return State.NEW
    if concern.severity > was.severity:
        return State.AGAIN
    cooled = now - was.at >= policy.cooldown
    grown = concern.source.lasts or concern.count > was.count
    return State.AGAIN if cooled and grown else None


def _counted(was: Told | None) -> int:
    return 0 if was is None or was.state is State.OVER else was.count


def _silenced(notice: Notice, silences: Sequence[Silence], now: datetime) -> Notice:
    about = notice.concern.about
    if any(silence.covers(about, now) for silence in silences):
        return Notice(notice.concern, notice.state, notice.added, silenced=True)
    return notice
