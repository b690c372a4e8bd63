"""Commands that break things on purpose: chaos list, run, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.errors import GuardianError, UsageError

REPORTS = Path("chaos-reports")
chaos_app = typer.Typer(help="Failures on purpose, and what they cost.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(chaos_app, name="chaos")


@chaos_app.command("list")
def list_(context: typer.Context) -> None:
    """The scenarios of the embedded profile."""
    from clickstream_guardian.chaos.faults import SCENARIOS
    from clickstream_guardian.cli.screen import table

    rows = [(str(n), one.name, one.story) for n, one in SCENARIOS.items()]
    shared(context).screen.print(table("Failures on purpose", ["#", "name", "what is done"], rows))


@chaos_app.command("report")
def report(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the reports.")] = REPORTS,
) -> None:
    """What the scenarios that were run have cost, side by side.

    Example: [bold]guardian chaos report[/]
    """
    from clickstream_guardian.chaos.report import COLUMNS, read_reports
    from clickstream_guardian.cli.screen import table

    reports = read_reports(out)
    if not reports:
        raise UsageError(f"{out} holds no report; make one by `guardian chaos run 11`.")
    rows = [tuple(str(one[name]) for name in COLUMNS) for one in reports]
    shared(context).screen.print(table("Failures on purpose", list(COLUMNS.values()), rows))


@chaos_app.command("run")
def run(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The scenario, see `guardian chaos list`.")],
    rate: Annotated[int, typer.Option(min=100, help="Events per second of the load.")] = 12_000,
    seconds: Annotated[float, typer.Option(min=5, help="Length of the load undisturbed.")] = 40.0,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = REPORTS,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Keep a load, break something in its midst, and tell what it cost.

    Works in homes of its own, which it removes. Ends with exit code 1 if anything was lost,
    doubled, wrong or missed.

    Example: [bold]guardian chaos run 11[/]
    """
    from clickstream_guardian.chaos.faults import SCENARIOS
    from clickstream_guardian.chaos.report import as_dict, write_report
    from clickstream_guardian.chaos.run import run_scenario
    from clickstream_guardian.cli.screen import table

    if number not in SCENARIOS:
        raise UsageError(f"There is no scenario {number}; see `guardian chaos list`.")
    common = shared(context)
    outcome = run_scenario(SCENARIOS[number], rate, seconds, common.notes.print)
    page = write_report(outcome, out)
    values = as_dict(outcome)
    if as_json:
        typer.echo(json.dumps(values))
    else:
        rows = [(name, str(value)) for name, value in values.items()]
        common.screen.print(table("", ["", ""], rows))
        common.screen.print(f"Report: {page}")
    if not outcome.verdict.is_clean:
        raise GuardianError(f"Scenario {number} did harm; see {page}.")
