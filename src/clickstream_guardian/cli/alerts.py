"""Commands of alerts: watch, test, list, silence; and the watch that serves beside the API."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.cli.plain import plain
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.alerts.deliver import Delivery
    from clickstream_guardian.alerts.watch import Watch
    from clickstream_guardian.store import Store

alerts_app = typer.Typer(help="Who is told when something is wrong.", no_args_is_help=True)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(alerts_app, name="alerts")


def parse_duration(text: str) -> timedelta:
    """A duration such as ``90s``, ``30m``, ``2h``, ``1d``.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise UsageError(f"{text!r} is no duration; write it as 90s, 30m, 2h or 1d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@alerts_app.command("watch")
def watch(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
) -> None:
    """Look for what is wrong and tell it, until Ctrl-C; `guardian serve` does so too.

    Example: [bold]GUARDIAN_ALERT_CHANNELS=json://127.0.0.1:9000/hook guardian alerts watch[/]
    """
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.cli.serve import wait_for_stop

    settings = load_settings()
    notes = shared(context).notes
    with opened_store(settings) as store:
        if once:
            with _alone(settings):
                made = _watch(settings, store, settles=False)
                told = made.begin() + len(made.round())
            notes.print(f"{told} alerts.")
            return
        with _alone(settings):
            pass  # an error where another watches; beside `guardian serve` this would wait for it
        with watching(settings, store):
            notes.print("Watching; Ctrl-C stops.")
            wait_for_stop()


@contextmanager
def watching(settings: Settings, store: Store) -> Iterator[None]:
    """Watch in a thread for as long as the ``with``, once no other process does."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_keep_watch, args=(settings, store, stop), name="alerts", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def _keep_watch(settings: Settings, store: Store, stop: threading.Event) -> None:
    told = False
    while not stop.is_set():
        try:
            with _alone(settings):
                _watch(settings, store).run(stop, settings.alert_interval_seconds, _say)
        except GuardianError as error:
            if not told:
                _say(f"{error} Trying again every {settings.alert_interval_seconds:g} s.")
            told = True
            stop.wait(settings.alert_interval_seconds)


@alerts_app.command("test")
def test(context: typer.Context) -> None:
    """Send a message to every channel of the settings; exit code 1 if one does not take it.

    Example: [bold]GUARDIAN_ALERT_CHANNELS=json://127.0.0.1:9000/hook guardian alerts test[/]
    """
    from clickstream_guardian.alerts.message import Message
    from clickstream_guardian.rules.model import Severity

    channels = _delivery(load_settings()).channels
    if not channels:
        raise UsageError("There is no channel: set GUARDIAN_ALERT_CHANNELS to one or more.")
    said = "A test by `guardian alerts test`: nothing is wrong."
    message = Message("Clickstream Guardian: test", said, Severity.LOW)
    failed = []
    for channel in channels:
        took = channel.send(message)
        failed += [] if took else [channel.name]
        shared(context).screen.print(f"{channel.name}: {'taken' if took else 'NOT TAKEN'}")
    if failed:
        raise GuardianError(
            f"{len(failed)} of {len(channels)} channels did not take the message; check their "
            "addresses in GUARDIAN_ALERT_CHANNELS."
        )


@alerts_app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """The history of alerts, newest first, and what is silenced now."""
    from rich.text import Text

    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.cli.screen import SEVERITY_STYLE, table
    from clickstream_guardian.store.alerts import list_alerts, list_silences

    with opened_store(load_settings()) as store, store.begin() as connection:
        rows = list_alerts(connection, limit)
        silences = list_silences(connection)
    if as_json:
        for number, row in rows:
            values = {name: plain(value) for name, value in vars(row).items()}
            typer.echo(json.dumps({"alert_id": number} | values))
        return
    shown = [
        (
            f"{row.noticed_at:%Y-%m-%d %H:%M:%S}",
            Text(row.severity, SEVERITY_STYLE[row.severity]),
            row.rule,
            row.key,
            row.state,
            row.count,
            row.summary,
            row.outcome if row.channel is None else f"{row.outcome} {row.channel}",
        )
        for _, row in rows
    ]
    columns = ["at", "severity", "rule", "key", "state", "count#", "what", "outcome"]
    screen = shared(context).screen
    screen.print(table("Alerts", columns, shown))
    if silences:
        quiet = [(one.rule, one.key or "all", plain(one.until_at)) for one in silences]
        screen.print(table("Silenced", ["rule", "key", "until"], quiet))


@alerts_app.command("silence")
def silence(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="Rule or condition, as `list` shows it.")],
    key: Annotated[str | None, typer.Option(help="Only this session or subject.")] = None,
    for_: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d; 0s ends it.")] = "1h",
) -> None:
    """Tell nobody of a rule for a while; the history keeps it all the same.

    Example: [bold]guardian alerts silence BOT_LIKE --key 1436623 --for 2h[/]
    """
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.store.alerts import SilenceRow, save_silence

    until = datetime.now(UTC) + parse_duration(for_)
    with opened_store(load_settings()) as store, store.begin() as connection:
        save_silence(connection, SilenceRow(rule, key, until))
    shared(context).screen.print(f"{rule} ({key or 'all'}) is silent until {plain(until)}.")


def _say(sentence: str) -> None:
    typer.echo(f"guardian: {sentence}", err=True)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Be the only one who watches for this home; a crash lets go by itself."""
    from filelock import FileLock, Timeout

    lock = FileLock(settings.home_path / "alerts.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"{settings.home_path}: another process watches already (`guardian serve` does so too)."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _watch(settings: Settings, store: Store, *, settles: bool = True) -> Watch:
    """Who looks for what is wrong; one who looks once cannot see what stays away."""
    from clickstream_guardian.alerts.conditions import Thresholds
    from clickstream_guardian.alerts.model import Policy
    from clickstream_guardian.alerts.watch import Watch
    from clickstream_guardian.rules.model import Severity

    policy = Policy(
        Severity[settings.alert_least_severity.upper()],
        timedelta(seconds=settings.alert_cooldown_seconds),
    )
    if not settles:
        policy = replace(policy, settling=timedelta())
    limits = Thresholds(
        settings.alert_lag_messages,
        settings.alert_silent_seconds,
        settings.alert_dead_letters_per_hour,
        timedelta(hours=settings.alert_batch_due_hours),
        settings.alert_pool_ratio,
    )
    return Watch(store, _delivery(settings), lambda: _services(settings), policy, limits)


def _delivery(settings: Settings) -> Delivery:
    from clickstream_guardian.alerts.deliver import Delivery, open_channels

    urls = settings.alert_channels.get_secret_value() if settings.alert_channels else ""
    return Delivery(open_channels(urls), settings.home_path / "alerts.jsonl")


def _services(settings: Settings) -> Mapping[str, str | None]:
    """The servers of the stack, if this home has one."""
    if not (settings.home_path / "stack").is_dir():
        return {}
    from clickstream_guardian.stack.lifecycle import status

    try:
        return {one.name: _trouble(one.state) for one in status(settings)}
    except GuardianError as error:
        return {"stack": str(error)}


def _trouble(state: str) -> str | None:
    """What is wrong with a server: one that is not to run, or is about to, has no trouble."""
    return None if state in ("READY", "STARTING", "STOPPED") else state
