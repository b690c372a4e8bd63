"""Commands that break things on purpose: chaos list, run, report."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.errors import GuardianError, UsageError

if TYPE_CHECKING:
    from clickstream_guardian.chaos.cluster.faults import ClusterScenario
    from clickstream_guardian.chaos.run import Outcome

REPORTS = Path("chaos-reports")
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
chaos_app = typer.Typer(help="Failures on purpose, and what they cost.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(chaos_app, name="chaos")


@chaos_app.command("list")
def list_(context: typer.Context) -> None:
    """The scenarios, of the embedded profile and of the cluster."""
    from clickstream_guardian.chaos.faults import SCENARIOS
    from clickstream_guardian.cli.screen import table

    told = {n: ("embedded", one.name, one.story) for n, one in SCENARIOS.items()}
    told |= {n: ("cluster", one.name, one.story) for n, one in _of_cluster().items()}
    rows = [(str(n), *told[n]) for n in sorted(told)]
    heads = ["#", "profile", "name", "what is done"]
    shared(context).screen.print(table("Failures on purpose", heads, rows))


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
    rows = [tuple(_shown(one.get(name)) for name in COLUMNS) for one in reports]
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

    Works in homes of its own, which it removes; a scenario of the cluster starts the servers that
    it needs there, on free ports. Ends with exit code 1 if anything was lost, doubled, wrong or
    missed.

    Example: [bold]guardian chaos run 11[/]
    """
    from clickstream_guardian.chaos.faults import SCENARIOS
    from clickstream_guardian.chaos.report import as_dict, write_report
    from clickstream_guardian.chaos.run import run_scenario
    from clickstream_guardian.cli.screen import table

    common = shared(context)
    for one in _ENDS:
        if signal.getsignal(one) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(one, _interrupt)
    if number in SCENARIOS:
        outcome = run_scenario(SCENARIOS[number], rate, seconds, common.notes.print)
    elif number in _of_cluster():
        outcome = _run_on_cluster(number, rate, seconds, common.notes.print)
    else:
        raise UsageError(f"There is no scenario {number}; see `guardian chaos list`.")
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


def _interrupt(*_: object) -> None:
    """End by way of every cleaning up, which a second signal must not cut short."""
    for one in _ENDS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def _shown(value: object) -> str:
    return "–" if value is None else str(value)


def _of_cluster() -> Mapping[int, ClusterScenario]:
    """The cluster's scenarios; none where its extra is not installed."""
    if find_spec("confluent_kafka") is None:
        return {}
    from clickstream_guardian.chaos.cluster.faults import CLUSTER_SCENARIOS

    return CLUSTER_SCENARIOS


def _run_on_cluster(number: int, rate: int, seconds: float, say: Callable[[str], None]) -> Outcome:
    from clickstream_guardian.chaos.cluster.run import run_cluster_scenario

    return run_cluster_scenario(_of_cluster()[number], rate, seconds, say)
