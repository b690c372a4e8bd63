"""What is told, and when: once per rule and session, again after the cooldown, over when over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clickstream_guardian.alerts.decide import decide, remember, watch_ends
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
from clickstream_guardian.rules.model import Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(Severity.HIGH, timedelta(minutes=15))
LAG = Concern(Source.LAG, AlertKey("lag", "detector"), Severity.HIGH, "behind")


def runaway(count: int, session: str = "77", severity: Severity = Severity.CRITICAL) -> Concern:
    return Concern(Source.ANOMALY, AlertKey("BOT_LIKE", session), severity, "2171 clicks", count)


class Story:
    """Decisions one after the other, each remembered."""

    def __init__(self, *silences: Silence) -> None:
        self.told: dict[AlertKey, Told] = {}
        self.silences = silences

    def at(self, minutes: float, *concerns: Concern) -> list[Notice]:
        now = START + timedelta(minutes=minutes)
        watch_ends(self.told, concerns, now)
        notices = decide(concerns, self.told, self.silences, POLICY, now)
        remember(self.told, notices, now)
        return notices


def test_a_thousand_windows_of_a_session_are_one_alert_with_a_count() -> None:
    story = Story()
    [first] = story.at(0, runaway(1))
    assert (first.state, first.added) == (State.NEW, 1)
    assert [story.at(n / 100, runaway(n)) for n in range(2, 1001)] == [[]] * 999
    [again] = story.at(15, runaway(1000))
    assert (again.state, again.concern.count, again.added) == (State.AGAIN, 1000, 999)
    assert story.at(31, runaway(1000)) == []


def test_sessions_are_told_apart_and_the_mild_left_alone() -> None:
    concerns = [runaway(1, "b"), runaway(1, "a"), runaway(1, "c", Severity.MEDIUM), LAG]
    told = [one.concern.about.key for one in Story().at(0, *concerns)]
    assert told == ["a", "b", "detector"]


def test_a_condition_is_told_again_while_it_lasts_and_once_when_it_ends() -> None:
    story = Story()
    assert [one.state for one in story.at(0, LAG)] == [State.NEW]
    assert story.at(14.9, LAG) == []
    assert [one.state for one in story.at(15, LAG)] == [State.AGAIN]
    assert story.at(16) == []
    assert [one.state for one in story.at(17)] == [State.OVER]
    assert story.at(18) == []
    assert [one.state for one in story.at(19, LAG)] == [State.NEW]


def test_a_condition_that_flaps_is_one_that_lasts() -> None:
    story = Story()
    told = [one.state for n in range(240) for one in story.at(n / 12, *([LAG] * (n % 2 == 0)))]
    assert told == [State.NEW, State.AGAIN]


def test_what_gets_worse_does_not_wait_for_the_cooldown() -> None:
    story = Story()
    story.at(0, runaway(1, severity=Severity.HIGH))
    assert [one.state for one in story.at(1, runaway(2))] == [State.AGAIN]


def test_a_silence_covers_its_key_until_it_ends() -> None:
    story = Story(Silence("BOT_LIKE", "77", START + timedelta(minutes=10)))
    found = {one.concern.about.key: one.silenced for one in story.at(0, runaway(1), LAG)}
    assert found == {"77": True, "detector": False}
    [after] = story.at(20, runaway(2), LAG)[:1]
    assert (after.silenced, after.added) == (False, 1)


def test_one_message_tells_of_all_and_its_title_of_the_worst() -> None:
    story = Story()
    message = compose(story.at(0, LAG, *(runaway(3, str(n)) for n in range(30))))
    assert message.title == "[critical] 31 alerts, first: BOT_LIKE session 0"
    lines = message.body.splitlines()
    assert lines[0] == "BOT_LIKE session 0: 2171 clicks (3 windows)"
    assert (len(lines), lines[-1]) == (21, "and 11 more: `guardian alerts list`.")
