"""Pieces of HTML that the pages are made of. Every text that comes in is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from clickstream_guardian.dashboard import words

ASSETS = Path(__file__).parent / "assets"
SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class Comparison:
    """Another day beside the one shown.

    Attributes:
        change: Relative change since that day; None where there is nothing to compare with.
        against: Which day that is.
        value: That day's number as shown.
    """

    change: float | None
    against: str
    value: str = ""


@dataclass(frozen=True)
class Figure:
    """A number on a card.

    Attributes:
        label: What it is.
        value: The number as shown.
        note: What it means, in a few words.
        mood: ``good``, ``bad``, ``warn`` or nothing: its colour.
        comparisons: Changes against other days.
        history: Its last values, oldest first, drawn as a line.
    """

    label: str
    value: str
    note: str = ""
    mood: str = ""
    comparisons: tuple[Comparison, ...] = ()
    history: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A share (0 to 1) as a bar, with a mark where a threshold lies and a note below.

    A value without a share stands without a bar.
    """

    label: str
    value: str
    share: float | None
    mood: str = ""
    mark: float | None = None
    note: str = ""


def brand() -> str:
    """Logo and name."""
    logo = picture((ASSETS / "logo.svg").read_text("utf-8"))
    return f'<div class="cg-brand">{logo}<div><b>Clickstream<br>Guardian</b></div></div>'


def theme_switch() -> str:
    """Buttons for light, dark and as the system has it (frame.js listens to them)."""
    buttons = "".join(
        f'<button type="button" data-theme="{name}">{label}</button>'
        for name, label in (("Light", "Light"), ("Dark", "Dark"), ("System", "Auto"))
    )
    return f'<div class="cg-theme" role="group" aria-label="Theme">{buttons}</div>'


def head(title: str, subtitle: str, chips: Iterable[str] = ()) -> str:
    """Head of a page; the chips are made by :func:`chip` or :func:`badge`."""
    return (
        f'<div class="cg-head"><div><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></div>'
        f'<div class="cg-chips">{"".join(chips)}</div></div>'
    )


def chip(label: str, value: str, mood: str = "") -> str:
    """A small fact with a dot that tells its mood."""
    dot = f'<span class="cg-dot {mood}"></span>' if mood else ""
    return f'<span class="cg-chip">{dot}{escape(label)} <b>{escape(value)}</b></span>'


def badge(text: str, mood: str = "") -> str:
    """A word on a coloured ground; severities are moods of their own name."""
    return f'<span class="cg-badge {mood}">{escape(text)}</span>'


def severity_badge(severity: str) -> str:
    """The severity in its colour."""
    return badge(severity, severity if severity in SEVERITIES else "")


def title(text: str, note: str = "") -> str:
    """Title of a card."""
    return f'<div class="cg-title"><h2>{escape(text)}</h2><span>{escape(note)}</span></div>'


def figures(cards: Iterable[Figure], *, most: int = 6) -> str:
    """Numbers on cards, side by side; at most so many in a row."""
    drawn = "".join(_figure(card) for card in cards)
    return f'<div class="cg-grid" style="--most:{most}">{drawn}</div>'


def equation(parts: Sequence[Figure | str]) -> str:
    """Numbers on cards with signs between them."""
    drawn = (f"<i>{escape(p)}</i>" if isinstance(p, str) else _figure(p) for p in parts)
    return f'<div class="cg-sum">{"".join(drawn)}</div>'


def bars(rows: Iterable[Bar]) -> str:
    """Shares as bars, one under the other."""
    return f'<div class="cg-bars">{"".join(_bar(row) for row in rows)}</div>'


def facts(pairs: Mapping[str, str]) -> str:
    """Names and values in two columns."""
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs.items())
    return f'<dl class="cg-facts">{rows}</dl>'


def explanation(text: str, badges: Iterable[str]) -> str:
    """The reason in words under its badges."""
    return f'{" ".join(badges)}<div class="cg-explain">{escape(text)}</div>'


def state(message: str, detail: str, command: str = "", *, bad: bool = False) -> str:
    """What stands in place of a page that has nothing to show, and what to run."""
    icon = picture(_DOWN if bad else _EMPTY)
    run = f"<pre>{escape(command)}</pre>" if command else ""
    return (
        f'<div class="cg-empty{" bad" if bad else ""}" role="status">{icon}'
        f"<h2>{escape(message)}</h2><p>{escape(detail)}</p>{run}</div>"
    )


def stale(age_seconds: int) -> str:
    """What stands above a page whose answers are repeated because the database is away."""
    return (
        '<div class="cg-stale" role="status">The database does not answer: what you see is '
        f"what it said {age_seconds} seconds ago. This page asks again by itself.</div>"
    )


def nothing(text: str) -> str:
    """What stands in a card that has nothing to show."""
    return f'<div class="cg-empty small"><p>{escape(text)}</p></div>'


def sidebar_state(mood: str, message: str, lines: Iterable[str]) -> str:
    """Connection and freshness, at the foot of the sidebar."""
    rest = "".join(f"<br>{escape(line)}" for line in lines)
    return (
        f'<div class="cg-state"><span class="cg-dot {mood}"></span> <b>{escape(message)}</b>'
        f"{rest}</div>"
    )


def _figure(card: Figure) -> str:
    known = [one for one in card.comparisons if one.change is not None]
    changes = "".join(map(_comparison, known))
    if card.comparisons and not known:
        changes = "<span>no earlier day to compare</span>"
    note = f'<div class="cg-note">{escape(card.note)}</div>' if card.note else ""
    deltas = f'<div class="cg-deltas">{changes}</div>' if changes else ""
    return (
        f'<div class="cg-card"><div class="cg-label">{escape(card.label)}</div>'
        f'<div class="cg-value {card.mood}" title="{escape(card.value)}">{escape(card.value)}</div>'
        f"{note}{deltas}{spark(card.history)}</div>"
    )


def _comparison(one: Comparison) -> str:
    change = one.change or 0.0
    kind, sign = ("up", "▲") if change > 0 else ("down", "▼")
    if abs(change) < 0.0005:
        kind, sign = "same", "●"
    return (
        f"<span><span>{escape(one.against)}</span> <i>{escape(one.value)}</i> "
        f'<b class="cg-{kind}">{sign} {words.signed_percent(change)}</b></span>'
    )


def _bar(row: Bar) -> str:
    mark = (
        "" if row.mark is None else f'<div class="cg-mark" style="left:{_place(row.mark)}"></div>'
    )
    note = f'<div class="cg-note cg-below">{escape(row.note)}</div>' if row.note else ""
    track = ""
    if row.share is not None:
        fill = f'<div class="cg-fill {row.mood}" style="width:{_place(row.share)}"></div>'
        track = f'<div class="cg-track">{fill}{mark}</div>'
    return (
        f'<div><div class="cg-bar-head"><span>{escape(row.label)}</span>'
        f"<span>{escape(row.value)}</span></div>{track}{note}</div>"
    )


def _place(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


def spark(values: Sequence[float]) -> str:
    """The values as a small line; nothing below three of them."""
    if len(values) < 3:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 100 / (len(values) - 1)
    points = [f"{n * step:.2f} {26 - 22 * (v - low) / span:.2f}" for n, v in enumerate(values)]
    line = "M" + " L".join(points)
    return picture(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 30" preserveAspectRatio="none">'
        f'<path d="{line} L100 30 L0 30 Z" fill="#4a7de0" fill-opacity=".14"/>'
        f'<path d="{line}" fill="none" stroke="#4a7de0" stroke-width="1.6" '
        'vector-effect="non-scaling-stroke"/></svg>',
        "cg-spark",
    )


def picture(svg: str, name: str = "") -> str:
    """A drawing of ours as an image: Streamlit lets no inline SVG through."""
    return f'<img class="{name}" alt="" src="data:image/svg+xml,{quote(svg)}">'


_EMPTY = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#8a96ab" '
    'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
    '<path d="M3 13h5l1.5 3h5l1.5-3h5"/><path d="M5.5 5h13L21 13v5a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 '
    '1.5 0 0 1 3 18v-5z"/></svg>'
)
_DOWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#d8393e" '
    'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
    '<path d="M12 9v4m0 3.5v.01"/>'
    '<path d="M10.3 4.3 2.8 17.5a2 2 0 0 0 1.7 3h15a2 2 0 0 0 1.7-3L13.7 4.3'
    'a2 2 0 0 0-3.4 0z"/></svg>'
)
