"""Notices as one message for a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clickstream_guardian.alerts.model import Notice, Source, State
from clickstream_guardian.rules.model import Severity

_SHOWN = 20


@dataclass(frozen=True)
class Message:
    """What a channel is given."""

    title: str
    body: str
    severity: Severity


def compose(notices: Sequence[Notice]) -> Message:
    """One message of all notices of a moment; at most twenty are told in full.

    Args:
        notices: at least one, the most severe first.
    """
    worst = notices[0].concern.severity
    if len(notices) == 1:
        title = f"[{worst.name.lower()}] {_headline(notices[0])}"
    else:
        title = f"[{worst.name.lower()}] {len(notices)} alerts, first: {_headline(notices[0])}"
    lines = [f"{_headline(one)}: {_text(one)}" for one in notices[:_SHOWN]]
    if len(notices) > _SHOWN:
        lines.append(f"and {len(notices) - _SHOWN} more: `guardian alerts list`.")
    return Message(title, "\n".join(lines), worst)


def _headline(notice: Notice) -> str:
    about = notice.concern.about
    if notice.concern.source is Source.ANOMALY:
        return f"{about.rule} session {about.key}"
    return f"{about.rule} {about.key}" + (" is over" if notice.state is State.OVER else "")


def _text(notice: Notice) -> str:
    concern = notice.concern
    if concern.source is not Source.ANOMALY:
        return concern.summary
    count = f"{concern.count} window{'s' if concern.count != 1 else ''}"
    more = f", {notice.added} of them since last told" if notice.state is State.AGAIN else ""
    return f"{concern.summary} ({count}{more})"
