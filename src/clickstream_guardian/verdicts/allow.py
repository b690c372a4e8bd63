"""The allow-list: what people have decided to put up with, why, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AllowKind(StrEnum):
    """What an entry is about."""

    SESSION = "session"
    ITEM = "item"


@dataclass(frozen=True)
class AllowEntry:
    """One entry; ``until_at`` None holds until it is removed."""

    kind: AllowKind
    value: str
    reason: str
    until_at: datetime | None = None


class AllowList:
    """The entries in force."""

    def __init__(self, entries: Iterable[AllowEntry] = ()) -> None:
        kept = list(entries)
        self._sessions = {e.value: e.reason for e in kept if e.kind is AllowKind.SESSION}
        self.items = frozenset(e.value for e in kept if e.kind is AllowKind.ITEM)
        """Items on which anything goes."""

    def reason(self, session_id: str) -> str | None:
        """Why the session is allowed; None where it is not."""
        return self._sessions.get(session_id)

    def covers(self, sample_items: Iterable[str]) -> bool:
        """Whether an anomaly's evidence lies on allowed items alone."""
        items = set(sample_items)
        return bool(items) and items <= self.items
