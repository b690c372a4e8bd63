"""Commands of the allow-list: add, list, remove, look. Verdicts follow at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.alerts import parse_duration
from clickstream_guardian.cli.context import shared, stop_event
from clickstream_guardian.cli.plain import plain
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.verdicts.allow import AllowEntry, AllowKind, network_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

allow_app = typer.Typer(help="What is put up with, why, and until when.", no_args_is_help=True)

Kind = Annotated[
    AllowKind, typer.Argument(help="session, item (whatever is done on it), user or network.")
]
Value = Annotated[str, typer.Argument(help="Its id; of a network 10.1.0.0/16 or an address.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(allow_app, name="allow")


@allow_app.command("add")
def add(
    context: typer.Context,
    kind: Kind,
    value: Value,
    reason: Annotated[str, typer.Option(help="Why; the verdict shows it.")],
    for_: Annotated[
        str | None, typer.Option("--for", help="How long: 2h, 30d; without it until removed.")
    ] = None,
) -> None:
    """Allow a session, a user, a network, or what lies on an item alone; it wins over every rule.

    Users and networks are those that events name. Whom flagged sessions come from is looked up in
    the lake: now, by `guardian allow look`, by `guardian batch` and at the end of a replay.

    Example: [bold]guardian allow add session 1436623 --reason "our price check" --for 30d[/]
    """
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.store.verdicts import save_allowed

    value = _written(kind, value)
    if not reason.strip() or "\0" in reason + value or not value:
        raise UsageError("An entry needs an id and a reason: give both as text.")
    until = None if for_ is None else datetime.now(UTC) + parse_duration(for_)
    settings = load_settings()
    with opened_store(settings) as store, store.begin() as connection:
        save_allowed(connection, AllowEntry(kind, value, reason.strip(), until))
        _judge(connection, settings)
    if kind in (AllowKind.USER, AllowKind.NETWORK):
        _look(settings)
    shared(context).screen.print(f"{kind} {value} is allowed until {_end(until)}.", markup=False)


@allow_app.command("look")
def look(
    context: typer.Context,
    every: Annotated[
        str | None,
        typer.Option(help="Again and again until Ctrl-C, so long apart: 30s, 5m."),
    ] = None,
) -> None:
    """Look up in the lake whom flagged sessions come from, for entries of users and networks.

    Entries that have expired since are judged by, too. Run it beside live detection with --every.

    Example: [bold]guardian allow look --every 30s[/]
    """
    settings, notes = load_settings(), shared(context).notes
    if every is None:
        notes.print(f"{_look(settings)} sessions looked up.")
        return
    pause, stop = parse_duration(every).total_seconds(), stop_event()
    while not stop.is_set():
        try:
            if found := _look(settings):
                notes.print(f"{found} sessions looked up.")
        except UsageError:
            raise
        except GuardianError as error:
            notes.print(f"waiting: {error}", markup=False)
        stop.wait(pause)


@allow_app.command("list")
def list_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """All entries, those that have expired too."""
    from rich.text import Text

    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.cli.screen import table
    from clickstream_guardian.store.verdicts import list_allowed

    with opened_store(load_settings()) as store, store.begin() as connection:
        entries = list_allowed(connection)
    if as_json:
        for one in entries:
            typer.echo(json.dumps({name: plain(value) for name, value in vars(one).items()}))
        return
    rows = [
        (str(one.kind), Text(one.value), Text(one.reason), _end(one.until_at)) for one in entries
    ]
    shared(context).screen.print(table("Allowed", ["kind", "id", "reason", "until"], rows))


@allow_app.command("remove")
def remove(context: typer.Context, kind: Kind, value: Value) -> None:
    """Allow it no longer; its anomalies count again at once.

    Example: [bold]guardian allow remove session 1436623[/]
    """
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.store.verdicts import remove_allowed

    settings, value = load_settings(), _written(kind, value)
    with opened_store(settings) as store, store.begin() as connection:
        if not remove_allowed(connection, kind, value):
            raise UsageError(f"{kind} {value!r} is not allowed; `guardian allow list` shows what.")
        _judge(connection, settings)
    shared(context).screen.print(f"{kind} {value} is allowed no longer.", markup=False)


def _written(kind: AllowKind, value: str) -> str:
    """The value in the one way in which it is kept."""
    if kind is not AllowKind.NETWORK:
        return value
    try:
        return network_text(value)
    except ValueError as error:
        raise UsageError(
            f"{value!r} is no network ({error}); write one as 10.1.0.0/16, or one address."
        ) from error


def _end(until: datetime | None) -> str:
    return "it is removed" if until is None else str(plain(until))


def _look(settings: Settings) -> int:
    """Judge by the entries now in force and by who sessions come from; how many were looked up."""
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.pipelines.clients import settle_allowed

    with opened(settings) as parts:
        return settle_allowed(parts.store, parts.engine, parts.detector.shadow_rules)


def _judge(connection: Connection, settings: Settings) -> None:
    from clickstream_guardian.cli.opening import detector_config
    from clickstream_guardian.store.verdicts import judge_all

    judge_all(connection, detector_config(settings).shadow_rules)
