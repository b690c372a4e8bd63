"""Commands that keep things right: verify, maintain."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.cli.plain import plain
from clickstream_guardian.cli.run import Day, FirstDay, LastDay, asked_days
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import load_settings

maintain_app = typer.Typer(help="Upkeep of lake and database.", no_args_is_help=True)

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(verify)
    app.add_typer(maintain_app, name="maintain")


def verify(
    context: typer.Context,
    day: Day = None,
    first: FirstDay = None,
    last: LastDay = None,
    as_json: Annotated[bool, typer.Option("--json", help="One difference a line.")] = False,
) -> None:
    """Hold the stored numbers of days against the lake and against each other.

    Ends with exit code 1 and names each difference, if there is any.

    Example: [bold]guardian verify 2014-04-07[/]
    """
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.pipelines.verify import verify_days

    days = asked_days(day, first, last, None) or []
    common = shared(context)
    with opened(load_settings()) as parts:
        found = verify_days(parts.store, parts.lake, days)
    for one in found if as_json else found[:_SHOWN]:
        if as_json:
            typer.echo(json.dumps({name: plain(value) for name, value in asdict(one).items()}))
        else:
            common.screen.print(
                f"{one.dt}  {one.what} is {one.stored}, {one.against}: {one.expected}"
            )
    if found:
        raise GuardianError(
            f"{len(found)} numbers of {len({one.dt for one in found})} days are not what the lake "
            "says; compute these days anew with `guardian batch`."
        )
    common.screen.print(f"{len(days)} day{'s' if len(days) != 1 else ''}: all numbers agree.")


@maintain_app.command("compact")
def maintain_compact(context: typer.Context) -> None:
    """Merge the small files of hours that have ended. Killed, it is done again."""
    from clickstream_guardian.cli.opening import opened_for_upkeep
    from clickstream_guardian.pipelines.maintain import compact

    with opened_for_upkeep(load_settings(), "guardian maintain compact") as (_, lake):
        for table, done in compact(lake, datetime.now(UTC)).items():
            shared(context).screen.print(
                f"raw.{table}: {done.files_before} files of {done.hours} hours made "
                f"{done.files_after}"
            )


@maintain_app.command("expire")
def maintain_expire(context: typer.Context) -> None:
    """Forget old snapshots of the lake and remove files that no snapshot names."""
    from clickstream_guardian.cli.opening import opened_for_upkeep
    from clickstream_guardian.pipelines.maintain import expire

    with opened_for_upkeep(load_settings(), "guardian maintain expire") as (_, lake):
        for table, forgotten in expire(lake).items():
            shared(context).screen.print(f"raw.{table}: {forgotten} snapshots forgotten")


@maintain_app.command("partitions")
def maintain_partitions(context: typer.Context) -> None:
    """Make the database's partitions of this month and the next ones."""
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.pipelines.maintain import partitions

    with opened_store(load_settings()) as store:
        made = partitions(store, datetime.now(UTC))
    shared(context).screen.print(f"Made: {', '.join(made) or 'none, they are there'}.")
