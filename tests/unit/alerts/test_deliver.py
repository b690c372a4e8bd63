"""Real channels that refuse: tried again, then the next one, in the end the file."""

from __future__ import annotations

import json
from dataclasses import replace
from email import message_from_string, policy
from pathlib import Path

import pytest

from clickstream_guardian.alerts.deliver import Delivered, Delivery, open_channels
from clickstream_guardian.alerts.message import Message
from clickstream_guardian.errors import UsageError
from clickstream_guardian.rules.model import Severity

from .servers import mail_server, webhook

MESSAGE = Message("[critical] BOT_LIKE session 77", "2171 clicks", Severity.CRITICAL)


def delivery(tmp_path: Path, pauses: list[float], *urls: str) -> Delivery:
    return Delivery(open_channels(" ".join(urls)), tmp_path / "alerts.jsonl", wait=pauses.append)


def test_a_channel_that_refuses_twice_is_tried_a_third_time(tmp_path: Path) -> None:
    pauses: list[float] = []
    with webhook(refusals=2) as hook:
        done = delivery(tmp_path, pauses, hook.url).deliver(MESSAGE)
    assert (done.attempts, hook.taken, pauses) == (3, [MESSAGE.title], [1.0, 2.0])
    assert done.channel.startswith("json://127.0.0.1")


def test_a_channel_that_is_gone_leaves_it_to_the_next(tmp_path: Path) -> None:
    with mail_server(refusals=1) as mail:
        done = delivery(tmp_path, [], "json://127.0.0.1:9/gone", mail.url).deliver(MESSAGE)
    assert (done.attempts, mail.asked, len(mail.taken)) == (5, 2, 1)
    assert "Subject: [critical] BOT_LIKE session 77" in mail.taken[0]
    assert not (tmp_path / "alerts.jsonl").exists()


def test_what_looks_like_html_is_text_in_a_mail(tmp_path: Path) -> None:
    body = 'session <a href="https://evil">Guardian login</a>\nsecond line'
    with mail_server() as mail:
        delivery(tmp_path, [], mail.url).deliver(replace(MESSAGE, body=body))
    parts = {
        part.get_content_type(): part.get_content()
        for part in message_from_string(mail.taken[0], policy=policy.default).walk()
        if not part.is_multipart()
    }
    assert "<a href=" not in parts.get("text/html", "")
    assert body in parts["text/plain"].replace("\r\n", "\n")


def test_what_no_channel_takes_is_in_the_file(tmp_path: Path) -> None:
    with webhook(refusals=99) as hook, mail_server(refusals=99) as mail:
        done = delivery(tmp_path, [], hook.url, mail.url).deliver(MESSAGE)
    assert (done, hook.asked, mail.asked) == (Delivered("file", 6), 3, 3)
    [line] = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["title"] == MESSAGE.title


def test_a_wrong_address_is_refused_without_its_secrets() -> None:
    with pytest.raises(UsageError, match="GUARDIAN_ALERT_CHANNELS") as refused:
        open_channels("nonsense://user:secret@host")
    assert "secret" not in str(refused.value)


def test_a_channel_is_named_without_its_password() -> None:
    [channel] = open_channels("jsons://user:hunter2@example.com/hook")
    assert "hunter2" not in channel.name
