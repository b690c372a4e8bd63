"""A machine reads one JSON object a line, in the events of the page and no others."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickstream_guardian.cli import main
from clickstream_guardian.telemetry import log
from clickstream_guardian.telemetry.log import Event, tell

PAGE = Path(__file__).parents[3] / "docs" / "operations" / "MONITORING_STRATEGY.md"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's: what a test sets is taken back."""
    root, ours = logging.getLogger(), logging.getLogger("clickstream_guardian")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_page_holds_the_events_that_there_are() -> None:
    after = PAGE.read_text().partition("| event | fields |")[2]
    assert re.findall(r"^\| `(\w+)` \|", after, re.MULTILINE) == [event.value for event in Event]


def test_an_event_is_a_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    tell(Event.WAITING, reason='the "log" is away\n')
    [said] = lines(capsys.readouterr().err)
    at = said.pop("at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(at))
    assert said == {"level": "info", "event": "waiting", "reason": 'the "log" is away\n'}


def test_a_library_speaks_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("pyiceberg").exception("a %s", "warning")
    [said] = lines(capsys.readouterr().err)
    assert (said["event"], said["logger"], said["message"]) == ("library", "pyiceberg", "a warning")
    assert "ValueError: no" in str(said["error"])


def test_without_the_setting_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("plain")
    tell(Event.WAITING, reason="x")
    assert not log.is_json()
    assert capsys.readouterr().err == ""


def test_a_failed_command_says_so_to_a_machine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GUARDIAN_LOG", "json")
    monkeypatch.setenv("GUARDIAN_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["replay"])
    said = lines(capsys.readouterr().err)
    assert [one["event"] for one in said] == ["command_started", "command_failed"]
    assert said[1]["exit_code"] == ended.value.code == 2
    assert "--clicks" in str(said[1]["sentence"])
