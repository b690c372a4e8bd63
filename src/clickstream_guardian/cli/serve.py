"""Commands that serve: the API and the dashboard, and the API's keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.context import Shared, shared, stop_event
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.store import Store

keys_app = typer.Typer(help="Keys for the API.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(serve)
    app.add_typer(keys_app, name="keys")


def serve(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="Port of the API.")] = None,
    dashboard_port: Annotated[int | None, typer.Option(help="Port of the dashboard.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address of the API; not on loopback it asks for a key.")
    ] = None,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="The API alone.")] = False,
) -> None:
    """Start the API and the dashboard; Ctrl-C stops both.

    Example: [bold]guardian serve --port 8000 --dashboard-port 8501[/]
    """
    from clickstream_guardian.cli.opening import opened_store

    settings = load_settings(api_port=port, dashboard_port=dashboard_port, bind_host=host)
    with opened_store(settings) as store, serving(store, settings, not no_dashboard) as links:
        show_links(shared(context), links)
        wait_for_stop()


@contextmanager
def serving(store: Store, settings: Settings, dashboard: bool) -> Iterator[dict[str, str]]:
    """API and, if asked for, dashboard, for as long as the ``with``; their links by name."""
    from clickstream_guardian.api.server import api_config, running

    config = api_config(settings, store.reader_url)
    with ExitStack() as stack:
        api = stack.enter_context(running(config))
        links = {"API": api, "API documentation": f"{api}/docs"}
        if dashboard:
            from clickstream_guardian.dashboard.server import start

            key = stack.enter_context(_key(store)) if config.keys_required else None
            board = stack.enter_context(start(api, settings.dashboard_port, api_key=key))
            links["Dashboard"] = board.url
        from clickstream_guardian.cli.alerts import watching

        stack.enter_context(watching(settings, store))
        yield links


@contextmanager
def _key(store: Store) -> Iterator[str]:
    """A key for the dashboard, for as long as it runs."""
    from clickstream_guardian.store.keys import create_key, revoke_key

    with store.begin() as connection:
        made = create_key(connection, "dashboard of guardian serve")
    try:
        yield made.secret
    finally:
        with store.begin() as connection:
            revoke_key(connection, made.key_id)


def show_links(common: Shared, links: dict[str, str]) -> None:
    """Where to look."""
    for name, url in links.items():
        common.screen.print(f"  {name:<18} [cyan]{url}[/]")
    common.screen.print("  Ctrl-C stops.")


def wait_for_stop() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop = stop_event()
    while not stop.wait(0.5):
        continue


@keys_app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who will use the key.")],
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Make a key; it is shown this once and kept as a hash.

    Example: [bold]guardian keys create "grafana"[/]
    """
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.store.keys import create_key

    with opened_store(load_settings()) as store, store.begin() as connection:
        made = create_key(connection, name)
    if as_json:
        typer.echo(json.dumps({"key_id": made.key_id, "name": made.name, "key": made.secret}))
        return
    typer.echo(made.secret)
    shared(context).notes.print(
        "Keep it now: it is not shown again. Send it as `Authorization: Bearer KEY`."
    )


@keys_app.command("list")
def list_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """All keys, revoked ones too."""
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.cli.plain import plain
    from clickstream_guardian.cli.screen import table
    from clickstream_guardian.store.keys import list_keys

    with opened_store(load_settings()) as store, store.begin() as connection:
        keys = list_keys(connection)
    rows = [(k.key_id, k.name, plain(k.created_at), plain(k.revoked_at)) for k in keys]
    if as_json:
        for row in rows:
            columns = ("key_id", "name", "created_at", "revoked_at")
            typer.echo(json.dumps(dict(zip(columns, row, strict=True))))
        return
    shown = [(*row[:3], row[3] or "") for row in rows]
    shared(context).screen.print(table("API keys", ["id", "name", "made", "revoked"], shown))


@keys_app.command("revoke")
def revoke(
    context: typer.Context, key_id: Annotated[str, typer.Argument(help="Its id, see list.")]
) -> None:
    """End a key; it stops working within seconds."""
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.store.keys import revoke_key

    with opened_store(load_settings()) as store, store.begin() as connection:
        key = revoke_key(connection, key_id)
    shared(context).screen.print(f"Key {key.key_id} ({key.name}) is revoked.")
