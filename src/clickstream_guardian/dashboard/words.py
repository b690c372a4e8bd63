"""Numbers, times and shares in words, the same on every page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

NOTHING = "–"
"""What stands where there is no number."""

Number = int | float | Decimal

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return NOTHING if value is None else f"{value:,}"


def money(value: Decimal | None) -> str:
    """An amount; cents only where they matter (below 1,000)."""
    if value is None:
        return NOTHING
    return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def short_money(value: Decimal | None) -> str:
    """An amount where room is scarce: from ten million on in millions."""
    if value is None or abs(value) < 10_000_000:
        return money(value)
    return f"{value / 1_000_000:,.2f} M"


def percent(ratio: Number | None, places: int = 1) -> str:
    """A ratio as per cent."""
    return NOTHING if ratio is None else f"{float(ratio) * 100:.{places}f} %"


def share(part: int, whole: int) -> str:
    """A part of a whole as per cent; a tiny one does not become zero."""
    ratio = part / whole if whole else 0.0
    return "below 0.01 %" if 0 < ratio < 0.0001 else percent(ratio, 2 if ratio else 0)


def decimal(value: Number | None, places: int = 2) -> str:
    """A number to some places."""
    return NOTHING if value is None else f"{float(value):,.{places}f}"


def measure(value: float) -> str:
    """A measured value: whole numbers whole, others to 4 significant places."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def duration(seconds: Number | None) -> str:
    """A span in its two largest units: ``6 min 25 s``."""
    if seconds is None:
        return NOTHING
    left = round(float(seconds))
    parts = []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


def ago(seconds: Number | None) -> str:
    """How long ago: one unit, ``just now`` below two seconds."""
    if seconds is None:
        return NOTHING
    if seconds < 2:
        return "just now"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    return f"{int(seconds // size)} {unit} ago"


def day(value: date) -> str:
    """A day as people write it: ``Mon 7 Apr 2014``."""
    return f"{value:%a} {value.day} {value:%b %Y}"


def moment(value: datetime | None) -> str:
    """An instant to the second, in UTC."""
    return NOTHING if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def span(start: datetime, end: datetime) -> str:
    """A span of time, in UTC; the day stands once where it is the same."""
    until = clock(end) if start.date() == end.date() else moment(end)
    return f"{moment(start)} – {until} UTC"


def clock(value: datetime) -> str:
    """The time of day, in UTC."""
    return f"{value.astimezone(UTC):%H:%M:%S}"


def change(now: Number | None, before: Number | None) -> float | None:
    """Relative change; None where there is nothing to compare with."""
    if now is None or before is None or not before:
        return None
    return float(now) / float(before) - 1.0


def signed_percent(ratio: float) -> str:
    """A change in per cent with its sign; a true minus."""
    text = f"{ratio * 100:+.1f} %"
    return "±0.0 %" if text in ("+0.0 %", "-0.0 %") else text.replace("-", "−")


def signed(value: int) -> str:
    """A whole number with its sign; a true minus."""
    return f"{value:+,}".replace("-", "−")


def plural(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def escape_markdown(text: str) -> str:
    """Text of others as it stands, where Streamlit would read it as Markdown."""
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~:$&@=^/" else c for c in shown)


def precise(value: datetime) -> str:
    """The time of day to the millisecond, in UTC."""
    return f"{value.astimezone(UTC):%H:%M:%S.%f}"[:-3]


def short(text: str, most: int) -> str:
    """The text, cut to a length."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
