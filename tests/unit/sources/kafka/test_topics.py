"""The table of topics."""

from __future__ import annotations

from clickstream_guardian.sources.kafka.topics import TOPICS

BY_NAME = {topic.name: topic for topic in TOPICS}


def test_the_five_topics_are_there() -> None:
    assert {"clicks.v1", "purchases.v1", "anomalies.v1", "late.v1", "dlq.v1"} <= BY_NAME.keys()


def test_a_replay_of_2014_is_not_deleted_by_its_age() -> None:
    for topic in TOPICS:
        if topic.settings["retention.ms"] != "-1":
            assert topic.settings["message.timestamp.type"] == "LogAppendTime"


def test_the_sinks_commit_messages_are_kept_for_ever() -> None:
    for name in ("landing-clicks", "landing-purchases", "landing-rejected"):
        assert BY_NAME[name].settings == {"retention.ms": "-1", "retention.bytes": "-1"}
        assert not BY_NAME[name].by_session
