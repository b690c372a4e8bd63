"""Which concerns become notices. Pure: the clock is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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
    cooldown has passed and it has lasted or grown. A condition that has ended, and stays away for
    the time of settling, is told once more.

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
        if about not in here and _is_over(was, policy, now)
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


def watch_ends(told: dict[AlertKey, Told], concerns: Iterable[Concern], now: datetime) -> None:
    """Note which conditions are seen no more, and since when; to be done before ``decide``."""
    here = {one.about for one in concerns}
    for about, was in told.items():
        if about in here:
            told[about] = replace(was, gone_since=None)
        elif was.gone_since is None:
            told[about] = replace(was, gone_since=now)


def _is_over(was: Told, policy: Policy, now: datetime) -> bool:
    if was.state is State.OVER or not was.source.lasts or was.gone_since is None:
        return False
    return now - was.gone_since >= policy.settling


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
