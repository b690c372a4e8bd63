"""How a message gets out: channel by channel, each tried a few times, a file in the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from clickstream_guardian.alerts.message import Message
from clickstream_guardian.errors import UsageError
from clickstream_guardian.rules.model import Severity

FILE = "file"


class Channel(Protocol):
    """Takes a message to somebody."""

    @property
    def name(self) -> str:
        """The channel for a person, without secrets."""

    def send(self, message: Message) -> bool:
        """Whether it was taken; never raises."""


@dataclass(frozen=True)
class Delivered:
    """Where a message went, after how many tries in all."""

    channel: str
    attempts: int


class Delivery:
    """Channels in the order they are tried, and the file that takes what none of them took.

    Args:
        channels: the first that takes a message ends its way.
        file: gets one JSON object a line.
        attempts: tries for each channel.
        pause_seconds: before the second try; doubled before each further one.
        wait: sleeps so many seconds.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        file: Path,
        attempts: int = 3,
        pause_seconds: float = 1.0,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.channels = tuple(channels)
        self._file = file
        self._attempts = attempts
        self._pause = pause_seconds
        self._wait = wait

    def deliver(self, message: Message) -> Delivered:
        """Bring a message out.

        Raises:
            OSError: no channel took it, and the file cannot be written.
        """
        tries = 0
        for channel in self.channels:
            for attempt in range(self._attempts):
                if attempt:
                    self._wait(self._pause * 2 ** (attempt - 1))
                tries += 1
                if channel.send(message):
                    return Delivered(channel.name, tries)
        self._write(message)
        return Delivered(FILE, tries)

    def _write(self, message: Message) -> None:
        row = asdict(message) | {"severity": message.severity.label}
        row["at"] = datetime.now(UTC).isoformat(timespec="seconds")
        with self._file.open("a") as out:
            out.write(json.dumps(row) + "\n")


class AppriseChannel:
    """One address of Apprise (https://appriseit.com): mail, webhook, chat and a hundred more.

    Raises:
        UsageError: the address is none.
    """

    def __init__(self, url: str) -> None:
        from apprise import Apprise  # takes a third of a second

        self._apprise = Apprise()
        kind = url.partition("://")[0]
        if not self._apprise.add(url):
            raise UsageError(
                f"GUARDIAN_ALERT_CHANNELS names a channel of kind {kind!r} that is no address of "
                "Apprise; write it as json://host/path or mailto://user:password@host?to=…."
            )
        shown = str(self._apprise[0].url(privacy=True))  # type: ignore[no-untyped-call]
        self.name = shown.partition("?")[0]

    def send(self, message: Message) -> bool:
        """Whether it was taken."""
        from apprise import NotifyFormat, NotifyType

        kinds = {Severity.CRITICAL: NotifyType.FAILURE, Severity.LOW: NotifyType.INFO}
        kind = kinds.get(message.severity, NotifyType.WARNING)
        try:
            return bool(
                self._apprise.notify(
                    title=message.title,
                    body=message.body,
                    notify_type=kind,
                    body_format=NotifyFormat.TEXT,  # a session's id may look like HTML
                )
            )
        except Exception:  # a channel's own trouble is a channel that did not take the message
            return False


def open_channels(urls: str) -> list[AppriseChannel]:
    """The channels of the setting: addresses with spaces between, in the order to try them."""
    return [AppriseChannel(url) for url in urls.split()]
