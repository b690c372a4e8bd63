"""One step of the detector: what has come, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from clickstream_guardian.detector.due import Span, judged_windows
from clickstream_guardian.detector.evaluate import (
    Folded,
    Shape,
    anomalies_of,
    holding_windows,
    micros,
    window_ids,
)
from clickstream_guardian.detector.folds import (
    add_pending,
    complete,
    is_due,
    refold,
    split_fold,
    with_panes,
)
from clickstream_guardian.detector.lateness import NEVER, late_mask, newest_after
from clickstream_guardian.detector.model import Anomaly, Status
from clickstream_guardian.detector.state import (
    LOG_SCHEMA,
    BucketState,
    Chunk,
    DetectorConfig,
    PartitionKey,
    PartitionState,
    Tally,
)
from clickstream_guardian.detector.whole import Closing, WholeLog, judge_whole, windows_due
from clickstream_guardian.rules.model import Rule

_MAX_CHUNKS = 128
_YOUNG_CHUNKS = 32
_JOINED_EVENTS = 250_000
_ONE = np.int32(1)
"""One in the tally's own type: ``ufunc.at`` is fifty times slower where it has to convert."""


@dataclass(frozen=True)
class Arrival:
    """The next events of one partition.

    Attributes:
        events: columns session_id, occurred_at (microseconds, UTC), item_id, event_id
            (``UInt128``), in offset order.
        next_offset: offset after the last of them.
        promised_us: no event of this partition before this time is still to come.
        silent: the partition has been read to its present end.
        quiet: it is silent, and has been for so long that it holds no window open.
        ended: nothing more will ever come.
    """

    key: PartitionKey
    events: pl.DataFrame
    next_offset: int
    promised_us: int = NEVER
    silent: bool = False
    quiet: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Step:
    """The state after a call, and what came of it.

    Attributes:
        anomalies: those that are new or have changed.
        late: which of an arrival's events are late, for the partitions that had any.
    """

    state: BucketState
    anomalies: tuple[Anomaly, ...]
    late: Mapping[PartitionKey, npt.NDArray[np.bool_]] = field(default_factory=dict)


def advance(config: DetectorConfig, state: BucketState, arrivals: Sequence[Arrival]) -> Step:
    """Take a bucket's next events and tell which sessions break which rules.

    However a stream is cut into calls, the final anomalies are the same, with the same ids,
    measures and evidence.

    Args:
        config: rules on one kind of event, and numbers; the same in every call.
        state: what the last call returned; it is not changed.
        arrivals: at most one per partition.
    """
    partitions, chunk, late = _admit(config, state, arrivals)
    moved = replace(state, partitions=partitions)
    closed_us = max(state.settled_us, moved.watermark(config.lateness_us, config.idle_us))
    if not len(chunk.events) and closed_us == state.closed_us:
        return Step(_settle(config, moved), (), late)
    said: tuple[Anomaly, ...] = ()
    if config.running:
        logged, fresh = _log(config, moved, chunk)
        moved, said = _judge(config, logged, fresh, closed_us)
    if config.at_close:
        moved, said_at_close = _judge_at_close(config, moved, chunk, closed_us)
        said += said_at_close
    return Step(_settle(config, replace(moved, closed_us=closed_us)), said, late)


def _admit(
    config: DetectorConfig, state: BucketState, arrivals: Sequence[Arrival]
) -> tuple[dict[PartitionKey, PartitionState], Chunk, dict[PartitionKey, npt.NDArray[np.bool_]]]:
    """Judge lateness per partition; keep what is in time, where there is a rule to look at it."""
    partitions = dict(state.partitions)
    kept = []
    late_ones = {}
    for arrival in arrivals:
        before = partitions.get(arrival.key, PartitionState())
        at = arrival.events["occurred_at"].to_physical().to_numpy()
        late = late_mask(at, before.newest_us, config.lateness_us)
        late_count = int(late.sum())
        if late_count:
            late_ones[arrival.key] = late
        partitions[arrival.key] = replace(
            before,
            next_offset=arrival.next_offset,
            newest_us=newest_after(at, before.newest_us),
            late_count=before.late_count + late_count,
            promised_us=max(before.promised_us, arrival.promised_us),
            silent=arrival.silent,
            quiet=arrival.quiet,
            ended=arrival.ended,
        )
        if config.rules and len(at):
            events = arrival.events.filter(~late) if late_count else arrival.events
            kept.append(_log_columns(events))
    events = pl.concat(kept) if kept else pl.DataFrame(schema=LOG_SCHEMA)
    newest = int(events["at"].max()) if len(events) else NEVER  # type: ignore[arg-type]
    return partitions, Chunk(events, newest, state.partitions), late_ones


def _log_columns(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(
        "session_id",
        pl.col("occurred_at").to_physical().alias("at"),
        "item_id",
        "event_id",
        hash=pl.col("session_id").hash(seed=0),
    )


def _log(
    config: DetectorConfig, state: BucketState, chunk: Chunk
) -> tuple[BucketState, pl.DataFrame]:
    """Add a call's events to log and tally; return the events of busy sessions that are new to
    the panes: those of this call, and all that the log holds of sessions that became busy."""
    size = sum(len(one.events) for one in (*state.log, chunk))
    if size > config.slot_load * len(state.tally.counts):
        state = _regrow(state, 1 << (2 * size // config.slot_load).bit_length())
    tally = state.tally
    counts = tally.counts.copy()
    slots = tally.slots(chunk)
    np.add.at(counts, slots, _ONE)
    busy = tally.busy.copy()
    busy[slots[counts[slots] >= config.busy_from]] = True
    became = busy & ~tally.busy
    parts = [_crowded(config, state, chunk.events.filter(busy[slots])), *_woken(state, became)]
    log = (*state.log, chunk) if len(chunk.events) else state.log
    fresh = with_panes(pl.concat(parts), config.pane_us)
    return replace(state, log=log, tally=Tally(counts, busy)), fresh


def _woken(state: BucketState, became: npt.NDArray[np.bool_]) -> Iterator[pl.DataFrame]:
    """What the log holds of sessions in these slots."""
    if not became.any():
        return
    found = [(old.events, np.flatnonzero(became[state.tally.slots(old)])) for old in state.log]
    holding = [(events, places) for events, places in found if len(places)]
    if holding:
        first = np.cumsum([0, *(len(events) for events, _ in holding[:-1])])
        places = [at + begin for (_, at), begin in zip(holding, first, strict=True)]
        yield pl.concat([e for e, _ in holding], rechunk=False)[np.concatenate(places)]


def _crowded(config: DetectorConfig, state: BucketState, events: pl.DataFrame) -> pl.DataFrame:
    """Leave out events that no window can hold together with enough others of their session.

    Only those are told apart that neither earlier calls nor later ones can add to: a whole window
    away from the log's newest event, and from what is still to come. A call that spans hours has
    many, one of a live stream none.
    """
    reach, least = config.longest_running_us, config.busy_from
    earlier = max((chunk.newest_us for chunk in state.log), default=NEVER)
    later = state.watermark(config.lateness_us, None)
    at = events["at"].to_numpy()
    inner = (at > earlier + reach if earlier != NEVER else True) & (at < max(later, 0) - reach)
    if least < 2 or not np.any(inner):
        return events
    session = events["hash"].to_numpy()
    order = np.lexsort((at, session))
    session, at = session[order], at[order]
    last = slice(least - 1, None)
    first = slice(None, max(0, len(at) - least + 1))
    run = (session[last] == session[first]) & (at[last] - at[first] < reach)
    begins = np.flatnonzero(run)
    depth = np.zeros(len(at) + 1, dtype=np.int64)
    depth[begins] += 1
    depth[begins + least] -= 1
    crowded = np.empty(len(at), dtype=np.bool_)
    crowded[order] = np.cumsum(depth)[:-1] > 0
    return events.filter(crowded | ~inner)


def _regrow(state: BucketState, size: int) -> BucketState:
    """A larger tally, counted anew from the log; folds are filled again as sessions turn busy."""
    tally = Tally.empty(size)
    for chunk in state.log:
        np.add.at(tally.counts, tally.slots(chunk), _ONE)
    return replace(state, tally=tally)


def _judge(
    config: DetectorConfig, state: BucketState, fresh: pl.DataFrame, closed_us: int
) -> tuple[BucketState, tuple[Anomaly, ...]]:
    """Fold what is due, apply every rule to touched and closing windows, note what was said."""
    whole, rest = complete(state.folds, fresh, config.pane_us, closed_us)
    folds = add_pending(state.folds, rest)
    due = {p: f for p, f in folds.items() if is_due(p, f, config.pane_us, closed_us)}
    if not len(whole) and not due and (not folds or closed_us == state.closed_us):
        return replace(state, folds=folds), ()
    kept = {p: f for p, f in folds.items() if p not in due}
    come = [whole, *(part for f in due.values() for part in f.pending)]
    new = refold([*come, *(f.rows for f in due.values())], config.head_size)
    all_folds = [new, *kept.values()]
    folded = Folded(
        tuple(fold.rows for fold in all_folds),
        pl.concat([fold.heads for fold in all_folds]),
        pl.concat([fold.counts for fold in all_folds]),
        pl.concat([fold.items for fold in all_folds]),
    )
    touched = pl.concat(come).group_by("session_id", "pane").agg(earliest=pl.col("at").min())
    span = Span(state.settled_us, state.closed_us, closed_us, touched)
    shape = Shape(config.sample_size, config.head_size)
    reported = dict(state.reported)
    said: list[Anomaly] = []
    judged = judged_windows(config.running, folded.counts, span)
    for rule in config.running:
        said += _apply(rule, judged[rule.name], folded, closed_us, shape, reported)
    reported.update((anomaly.anomaly_id, anomaly) for anomaly in said)
    settled_us = state.watermark(config.lateness_us, None)
    split = split_fold(new, max(NEVER, settled_us - config.longest_running_us + 1))
    return replace(state, folds=kept | split, reported=reported), tuple(said)


def _apply(
    rule: Rule,
    judged: pl.DataFrame,
    folded: Folded,
    closed_us: int,
    shape: Shape,
    reported: Mapping[str, Anomaly],
) -> list[Anomaly]:
    """What is new to say by one rule: anomalies found or changed, and those that hold no more."""
    if judged.is_empty():
        return []
    holding = holding_windows(rule, folded, judged)
    found = list(anomalies_of(rule, holding, folded, closed_us, shape, reported))
    holds = {anomaly.anomaly_id for anomaly in found}
    fallen = [
        replace(reported[identity], status=Status.WITHDRAWN)
        for identity in window_ids(rule, judged)
        if identity in reported and identity not in holds
    ]
    return [a for a in (*found, *fallen) if reported.get(a.anomaly_id) != a]


def _judge_at_close(
    config: DetectorConfig, state: BucketState, chunk: Chunk, closed_us: int
) -> tuple[BucketState, tuple[Anomaly, ...]]:
    """Keep a call's events for the rules judged at close, and judge the windows that close."""
    log = (*state.whole, chunk) if len(chunk.events) else state.whole
    closing = Closing(state.settled_us, state.closed_us, closed_us, WholeLog(chunk.events))
    reported = dict(state.reported)
    said: list[Anomaly] = []
    if log and any(windows_due(rule, log, closing) for rule in config.at_close):
        events = WholeLog(pl.concat([one.events for one in log]))
        # the widest first: what is made of its events serves for those of the others
        for rule in sorted(config.at_close, key=lambda rule: -rule.window.size_us):
            said += judge_whole(rule, events, closing, state.reported, config.sample_size)
    reported.update((anomaly.anomaly_id, anomaly) for anomaly in said)
    return replace(state, whole=log, reported=reported), tuple(said)


def _settle(config: DetectorConfig, state: BucketState) -> BucketState:
    """Forget what can no longer change: old chunks, the newest chunk's old events, old panes."""
    settled_us = max(state.settled_us, state.watermark(config.lateness_us, None))
    if settled_us == state.settled_us and max(len(state.log), len(state.whole)) <= _MAX_CHUNKS:
        return state
    log = _living(state.log, config.longest_running_us, settled_us)
    counts = state.tally.counts.copy()
    for chunk, living in zip(state.log, log, strict=True):
        if len(living.events) < len(chunk.events):
            np.subtract.at(counts, state.tally.slots(chunk), _ONE)
            np.add.at(counts, state.tally.slots(living), _ONE)
    whole = _living(state.whole, config.longest_at_close_us, settled_us)
    return replace(
        state,
        settled_us=settled_us,
        log=_compact(log),
        whole=_compact(whole),
        tally=Tally(counts, state.tally.busy & (counts >= config.busy_from)),
        folds={
            p: f for p, f in state.folds.items() if p.pane + config.longest_running_us > settled_us
        },
        reported={k: a for k, a in state.reported.items() if micros(a.window_end) > settled_us},
    )


def _living(log: Sequence[Chunk], longest_us: int, settled_us: int) -> list[Chunk]:
    """The same chunks, without what no unsettled window of that length can hold."""
    chunks = []
    for index, chunk in enumerate(log):
        living = chunk
        if chunk.newest_us + longest_us <= settled_us:
            living = replace(chunk, events=chunk.events.clear())
        elif index == len(log) - 1:
            recent = chunk.events.filter(pl.col("at") + longest_us > settled_us)
            living = replace(chunk, events=recent)
        chunks.append(living)
    return chunks


def _compact(chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """Drop empty chunks, and join small neighbours among the older of many, to bound their number.

    Their columns are not copied: that would hold up the call in which it happens.
    """
    log = tuple(chunk for chunk in chunks if len(chunk.events))
    if len(log) <= _MAX_CHUNKS:
        return log
    groups: list[list[Chunk]] = []
    size = 0
    for chunk in log[:-_YOUNG_CHUNKS]:
        size += len(chunk.events)
        if not groups or size > _JOINED_EVENTS:
            groups.append([])
            size = len(chunk.events)
        groups[-1].append(chunk)
    return (*map(_joined, groups), *log[-_YOUNG_CHUNKS:])


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    events = pl.concat([chunk.events for chunk in chunks], rechunk=False)
    return Chunk(events, max(chunk.newest_us for chunk in chunks), chunks[0].before)
