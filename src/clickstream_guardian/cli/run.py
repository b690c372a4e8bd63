"""Commands that do work: generate, replay, batch, demo."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.context import Shared, shared
from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.cli.progress import Watching
    from clickstream_guardian.sources.spool import Order

Day = Annotated[str | None, typer.Argument(help="A UTC day, such as 2014-04-07.")]
FirstDay = Annotated[str | None, typer.Option("--from", help="First day of a range.")]
LastDay = Annotated[str | None, typer.Option("--to", help="Last day of the range, inclusive.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(demo)
    app.command()(generate)
    app.command()(replay)
    app.command()(batch)


def _settings(**overrides: object) -> Settings:
    return load_settings(**overrides)


def parse_day(text: str) -> date:
    """A UTC day as ``YYYY-MM-DD``.

    Raises:
        UsageError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a day; write it as 2014-04-07.") from error


def parse_days(text: str) -> tuple[date, date]:
    """``FROM..TO``, inclusive, or one day."""
    first, _, last = text.partition("..")
    days = parse_day(first), parse_day(last or first)
    if days[0] > days[1]:
        raise UsageError(f"{text!r} ends before it begins; write FROM..TO.")
    return days


def generate(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    sessions: Annotated[
        int | None, typer.Option(min=1, help="About so many sessions in all.")
    ] = None,
    scale: Annotated[
        float,
        typer.Option(min=0, help="Times the real shop's traffic (1 = 50,000 sessions a day)."),
    ] = 1.0,
    days: Annotated[
        str | None, typer.Option(help="FROM..TO, inclusive; the whole series by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    attacks: Annotated[
        str, typer.Option(help="none, default, trial, or a plan of attacks as FILE.yaml.")
    ] = "default",
    disorder: Annotated[
        float, typer.Option(min=0, max=1, help="Share out of order within the lateness.")
    ] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share that arrives too late.")] = 0.0,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share that arrives twice.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Write calibrated traffic in the format of the YOOCHOOSE data set, with labelled attacks.

    Example: [bold]guardian generate --out data --days 2014-04-07..2014-04-13 --seed 7[/]
    """
    from clickstream_guardian.cli.screen import show_generation
    from clickstream_guardian.lab.generator import write_dataset

    common = shared(context)
    with _watching(common) as watching:
        report = write_dataset(
            out,
            sessions=sessions,
            scale=scale,
            days=parse_days(days) if days else None,
            seed=seed,
            attacks=attacks,
            disorder=disorder,
            late=late,
            duplicates=duplicates,
            progress=watching.so_far("Generating"),
        )
    if as_json:
        typer.echo(json.dumps(asdict(report), default=str))
    else:
        show_generation(common.screen, report)


def replay(
    context: typer.Context,
    clicks: Annotated[
        list[Path] | None, typer.Option(help="File of clicks; may be given again.")
    ] = None,
    purchases: Annotated[
        list[Path] | None, typer.Option(help="File of purchases; may be given again.")
    ] = None,
    order: Annotated[
        str, typer.Option(help="time (event time) or file (as the lines stand).")
    ] = "time",
    speed: Annotated[
        str | None, typer.Option(help="max, or times faster than the events' own time.")
    ] = None,
    max_events: Annotated[
        int | None, typer.Option(min=1, help="Take only the first N lines of each file.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Land, judge and measure files of clicks and purchases: plain, .gz or .zst, header or none.

    Killed at any moment, the same command goes on where it stopped. A finished file changes
    nothing when it is given again. At a speed, what came due while the command was dead is handed
    over at once, as a live source would; interrupted by hand (Ctrl-C), the stream stands still.

    Example: [bold]guardian replay --clicks yoochoose-clicks.dat --purchases yoochoose-buys.dat[/]
    """
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.cli.progress import telling
    from clickstream_guardian.events.fields import CLICK, PURCHASE
    from clickstream_guardian.pipelines.pace import Pace

    settings = _settings(replay_speed=speed)
    inputs = [(p, CLICK) for p in clicks or ()] + [(p, PURCHASE) for p in purchases or ()]
    if not inputs:
        raise UsageError("Nothing to replay: give a file with --clicks or --purchases.")
    order_asked = _order(order)
    common = shared(context)
    pace = Pace.parse(settings.replay_speed)
    with opened(settings) as parts:
        # loaded while the database started
        from clickstream_guardian.cli.screen import show_summary
        from clickstream_guardian.cli.summary import summarise
        from clickstream_guardian.pipelines.replay import Request
        from clickstream_guardian.pipelines.replay import replay as run_replay

        limit = settings.max_rejected_ratio
        request = Request(tuple(inputs), order_asked, max_events, strict, limit)
        with (
            _watching(common, ticker=pace.speed is not None) as watching,
            telling(common, settings, watching) as observer,
        ):
            report = run_replay(parts, request, pace, observer)
        summary = summarise(parts, report)
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), default=str))
    else:
        show_summary(common.screen, summary)


def batch(
    context: typer.Context,
    day: Day = None,
    first: FirstDay = None,
    last: LastDay = None,
    dirty: Annotated[
        bool,
        typer.Option(
            "--dirty", help="Only days whose rows in the lake, or verdicts, have changed."
        ),
    ] = False,
    before: Annotated[
        str | None, typer.Option(help="With --dirty: only days before this one.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Only this metric, or what a view of it shows; may be given again."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="embedded (DuckDB) or spark; default: a setting.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Compute days anew from the lake; computing a day twice changes nothing.

    Example: [bold]guardian batch --from 2014-04-01 --to 2014-04-30[/]
    """
    from clickstream_guardian.cli.opening import detector_config, opened_beside, opened_store
    from clickstream_guardian.metrics.loader import find_metrics
    from clickstream_guardian.pipelines.clients import settle_allowed
    from clickstream_guardian.pipelines.daily import compute_days, due_days, outcome_noted
    from clickstream_guardian.pipelines.reconcile import note_lake

    days = asked_days(day, first, last, "--dirty" if dirty else None)
    if before is not None and not dirty:
        raise UsageError("--before narrows --dirty; give both, or --to.")
    until = parse_day(before) if before else date.max
    metrics = find_metrics(metric or ())
    common = shared(context)
    settings = _settings(batch_engine=engine)
    with (
        opened_store(settings) as store,
        outcome_noted(store) as run,  # what does not open is a failed run, too
        opened_beside(store, settings, detector_config(settings), settings.batch_engine) as parts,
    ):
        settle_allowed(parts.store, parts.engine, parts.detector.shadow_rules)
        due = due_days(parts.store, parts.lake, parts.engine, days, parts.detector.rules)
        due = replace(due, days=[found for found in due.days if found < until])
        with _watching(common) as watching:
            watching.begin("Computing days", len(due.days))

            def computed(count: int) -> None:
                run.day_count += count
                watching.advance(count)

            compute_days(parts.store, parts.engine, metrics, due, computed)
        note_lake(parts.store, parts.lake)
    if as_json:
        typer.echo(json.dumps({"days": [str(d) for d in due.days]}))
    else:
        common.screen.print(f"Computed {len(due.days)} day{'s' if len(due.days) != 1 else ''}.")


def asked_days(
    day: str | None, first: str | None, last: str | None, otherwise: str | None
) -> list[date] | None:
    """The days of a command: one, or a range; None when ``otherwise``, another way, was taken.

    Raises:
        UsageError: no way or several, half a range, or what is no day.
    """
    from clickstream_guardian.pipelines.daily import DayRange

    ways = [day is not None, first is not None or last is not None, otherwise is not None]
    if sum(ways) != 1 or (first is None) != (last is None):
        raise UsageError("Say which days: a DATE, both --from and --to, or (of `batch`) --dirty.")
    if otherwise is not None:
        return None
    return DayRange(*parse_days(day if day is not None else f"{first}..{last}")).days


def demo(
    context: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Replay at a watchable speed beside API and dashboard.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed, another day.")] = 7,
) -> None:
    """A calibrated day with attacks: generated, landed, judged, measured and explained.

    Example: [bold]guardian demo[/], then [bold]guardian serve[/]
    """
    from clickstream_guardian.cli.demo import run_demo

    run_demo(shared(context), _settings(), live=live, seed=seed)


def _order(text: str) -> Order:
    from clickstream_guardian.sources.spool import Order

    try:
        return Order(text)
    except ValueError as error:
        raise UsageError(f"--order {text!r} is neither `time` nor `file`.") from error


def _watching(common: Shared, *, ticker: bool = False) -> Watching:
    from clickstream_guardian.cli.progress import Watching

    return Watching(common.notes, ticker=ticker)
