"""What can hold at all, told from sorted numbers before any string is joined.

Window, session and item are packed into 64 bits. Sorting such numbers costs a tenth of grouping
strings, and what a rule needs to hold (so many events of a session, so many sessions on an item or
with one set of items) shows as long runs. Repeats, and sessions that share a hash, only make runs
longer: nothing that holds is missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.rules.model import OPERATORS, Distinct, Rule, Threshold

_Keys = npt.NDArray[np.uint64]
_HASH_BITS = np.uint64(48)


@dataclass(frozen=True)
class _Windows:
    """The due windows of a rule, numbered from the earliest.

    Attributes:
        first_us: start of window 0.
        count: how many there are, those between that are not due included.
        due: whether a window is due, by number, with ``panes - 1`` more on either side.
    """

    rule: Rule
    first_us: int
    count: int
    due: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rule: Rule, starts: npt.NDArray[np.int64]) -> _Windows:
        numbers = (starts - starts[0]) // rule.window.every_us
        count, beyond = int(numbers[-1]) + 1, rule.window.panes - 1
        due = np.zeros(count + 2 * beyond, dtype=np.bool_)
        due[numbers + beyond] = True
        return cls(rule, int(starts[0]), count, due)

    def lay(self, at: npt.NDArray[np.int64]) -> Iterator[tuple[npt.NDArray[np.int64], _Keys]]:
        """Places of rows that lie in due windows, and the windows' numbers, pane by pane.

        ``at`` lies within the span of the windows.
        """
        pane = (at - self.first_us) // self.rule.window.every_us
        for back in range(self.rule.window.panes):
            rows = np.flatnonzero(self.due[pane + (self.rule.window.panes - 1 - back)])
            yield rows, (pane[rows] - back).astype(np.uint64)

    def start(self, numbers: _Keys) -> npt.NDArray[np.int64]:
        return self.first_us + numbers.astype(np.int64) * self.rule.window.every_us


def rows_of_busy_sessions(
    rule: Rule, rows: pl.DataFrame, due: npt.NDArray[np.int64]
) -> pl.DataFrame:
    """The events of every session in every due window in which it has enough of them.

    Args:
        rule: one keyed by session.
        rows: at, and hash of the session.
        due: starts of the windows, in order.
    """
    sessions = rows["hash"].to_numpy() >> (np.uint64(64) - _HASH_BITS)
    laid = [
        (places, (window << _HASH_BITS) | sessions[places])
        for places, window in _Windows.of(rule, due).lay(rows["at"].to_numpy())
    ]
    frequent = _frequent(np.concatenate([keys for _, keys in laid]), rule.least_events)
    wanted = np.zeros(len(rows), dtype=np.bool_)
    for places, keys in laid:
        wanted[places] |= _among(keys, frequent)
    return rows.filter(wanted)


def crowded_sessions(
    rule: Rule, rows: pl.DataFrame, due: npt.NDArray[np.int64], least: int
) -> pl.DataFrame:
    """Sessions, by window, of keys that may have enough members: session (its code), start.

    Args:
        rule: one keyed by item or set of items.
        rows: at, and codes of session and item.
        due: starts of the windows, in order.
        least: fewest members of a key with which the rule can hold.
    """
    assert rule.members is not None
    windows = _Windows.of(rule, due)
    session, item = (rows[name].to_numpy().astype(np.uint64) for name in ("session", "item"))
    item_bits, session_bits = (np.uint64(_bits(codes)) for codes in (item, session))
    assert _bits(session) + _bits(item) + windows.count.bit_length() <= 64
    pair = (session << item_bits) | item
    both = session_bits + item_bits
    laid = windows.lay(rows["at"].to_numpy())
    visits = _unique(np.concatenate([(w << both) | pair[places] for places, w in laid]))
    stays = visits >> item_bits
    first = np.flatnonzero(_changes(stays))
    items = np.diff(np.append(first, len(stays)))
    able = _may_be_members(rule.members.measures, rule.members.when, items)
    window, looked_at = visits >> both, visits & _low(item_bits)
    if rule.key == "item_id":
        keys = (window << item_bits) | looked_at
        frequent = _frequent(keys[np.repeat(able, items)], least)
        found = _unique(stays[_among(keys, frequent)])
    else:
        sets = np.add.reduceat(_mixed(looked_at), first) if len(first) else looked_at
        keys = _mixed(_mixed(sets) + window[first])
        frequent = _frequent(keys[able], least)
        found = stays[first][able & _among(keys, frequent)]
    return pl.DataFrame(
        {
            "session": (found & _low(session_bits)).astype(np.uint32),
            "start": windows.start(found >> session_bits),
        }
    )


def windows_with_quick_events(
    rule: Rule, rows: pl.DataFrame, due: npt.NDArray[np.int64], apart_us: int, least: int
) -> npt.NDArray[np.int64]:
    """Starts of the windows with at least so many events that follow another of their session
    no later than ``apart_us``.

    Args:
        rule: one keyed by the site.
        rows: at, and hash of the session.
        due: starts of the windows, in order.
        apart_us: see above.
        least: see above.
    """
    at = rows["at"].to_numpy()
    if len(at) < 2:
        return due[:0]
    time_bits = np.uint64(int(at.max() - at.min()).bit_length())
    sessions = rows["hash"].to_numpy() >> time_bits
    ordered = np.sort((sessions << time_bits) | (at - at.min()).astype(np.uint64))
    # a step of time within one session: the bits of the session cancel out
    quick = ordered[1:][np.diff(ordered) <= np.uint64(apart_us)]
    times = (quick & _low(time_bits)).astype(np.int64) + at.min()
    windows = _Windows.of(rule, due)
    counts = np.zeros(windows.count, dtype=np.int64)
    for _, numbers in windows.lay(times):
        counts += np.bincount(numbers.astype(np.int64), minlength=windows.count)
    return windows.start(np.flatnonzero(counts >= least).astype(np.uint64))


def _may_be_members(
    measures: Mapping[str, object], when: Mapping[str, Threshold], items: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether as many different items as these meet what the rule asks of a member's items."""
    able = np.ones(len(items), dtype=np.bool_)
    for name, threshold in when.items():
        if isinstance(measures[name], Distinct):
            able &= OPERATORS[threshold.operator](items, threshold.value)  # type: ignore[arg-type]
    return able


def _bits(codes: _Keys) -> int:
    return int(codes.max()).bit_length() if len(codes) else 0


def _low(bits: np.uint64) -> np.uint64:
    """So many low bits set."""
    return (np.uint64(1) << bits) - np.uint64(1)


def _changes(ordered: _Keys) -> npt.NDArray[np.bool_]:
    """Whether a number differs from the one before it."""
    return np.concatenate([np.ones(min(1, len(ordered)), np.bool_), ordered[1:] != ordered[:-1]])


def _unique(keys: _Keys) -> _Keys:
    ordered = np.sort(keys)
    return ordered[_changes(ordered)]


def _frequent(keys: _Keys, least: int) -> _Keys:
    """The keys that are there at least so often, in order."""
    ordered = np.sort(keys)
    begins = ordered[: max(0, len(ordered) - least + 1)]
    repeated: _Keys = begins[begins == ordered[least - 1 :]]
    return repeated[_changes(repeated)]


def _among(keys: _Keys, chosen: _Keys) -> npt.NDArray[np.bool_]:
    """Whether each key is one of the chosen, which are in order."""
    if not len(chosen):
        return np.zeros(len(keys), dtype=np.bool_)
    nearest = chosen[np.minimum(np.searchsorted(chosen, keys), len(chosen) - 1)]
    return np.equal(nearest, keys)


def _mixed(numbers: _Keys) -> _Keys:
    """Numbers scattered over 64 bits (SplitMix64's finaliser), so that sums tell sets apart."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
