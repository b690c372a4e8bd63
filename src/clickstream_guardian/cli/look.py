"""Commands that look: anomalies, explain, sql, rules, status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import load_settings

if TYPE_CHECKING:
    from clickstream_guardian.rules.model import Rule

rules_app = typer.Typer(help="The rules that say what counts as abuse.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(anomalies)
    app.command()(explain)
    app.command()(sql)
    app.command()(status)
    app.add_typer(rules_app, name="rules")


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant, or a day (its first moment), in UTC.

    Raises:
        UsageError: it is neither.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no instant; write 2014-04-07T10:00:00Z.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def anomalies(
    context: typer.Context,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    session: Annotated[str | None, typer.Option(help="Only this session.")] = None,
    since: Annotated[str | None, typer.Option(help="Windows that start at or after.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    all_: Annotated[bool, typer.Option("--all", help="Withdrawn previews too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """List anomalies, newest window first.

    Example: [bold]guardian anomalies --rule BOT_LIKE --limit 5 --json[/]
    """
    from clickstream_guardian.cli.opening import opened_store
    from clickstream_guardian.cli.rows import list_anomalies
    from clickstream_guardian.cli.screen import SEVERITY_STYLE, table

    at = parse_instant(since) if since else None
    with opened_store(load_settings()) as store:
        rows = list_anomalies(store, rule, session, at, limit, withdrawn=all_)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    from rich.text import Text

    shown = [
        (
            row["window_start"][:19],
            row["rule"],
            Text(row["severity"], SEVERITY_STYLE[row["severity"]]),
            row["session_id"],
            row["explanation"],
            row["status"],
            row["anomaly_id"],
        )
        for row in rows
    ]
    columns = ["window", "rule", "severity", "session", "why", "status", "anomaly"]
    shared(context).screen.print(table("Anomalies", columns, shown))


def explain(
    context: typer.Context,
    anomaly_id: Annotated[str, typer.Argument(help="An anomaly's id, or its beginning.")],
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Derive an anomaly again from the lake, and show the events behind it.

    Example: [bold]guardian explain 3f2a9c[/]
    """
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.cli.rows import find_anomaly
    from clickstream_guardian.cli.screen import explanation_as_dict, show_explanation
    from clickstream_guardian.pipelines.explain import explain as derive

    with opened(load_settings()) as parts:
        row = find_anomaly(parts.store, anomaly_id)
        found = derive(
            parts.lake,
            parts.detector,
            row["rule"],
            row["session_id"],
            parse_instant(row["window_start"]),
            parse_instant(row["window_end"]),
        )
    if as_json:
        typer.echo(json.dumps(explanation_as_dict(row, found), default=str))
    else:
        show_explanation(shared(context).screen, row, found)


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT in DuckDB's dialect.")],
    format_: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """Ask the lake and the metrics.

    Views: clicks, raw_clicks, purchases, raw_purchases, rejected, anomalies, and each metric.

    Example: [bold]guardian sql "SELECT hour, count(*) FROM clicks GROUP BY hour ORDER BY hour"[/]
    """
    from clickstream_guardian.cli.rows import FORMATS, query_lake, write_rows

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_!r} is none of {', '.join(FORMATS)}.")
    write_rows(query_lake(load_settings(), query), format_)


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Reconciliation, positions and freshness of the home."""
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.cli.rows import gather_status
    from clickstream_guardian.cli.screen import show_status

    with opened(load_settings()) as parts:
        found = gather_status(parts)
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        show_status(shared(context).screen, found)


@rules_app.command("list")
def list_rules(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """The rules in force."""
    from clickstream_guardian.cli.screen import table

    rules = _catalogue()
    if as_json:
        for rule in rules:
            typer.echo(json.dumps(_as_dict(rule)))
        return
    rows = [(r.name, r.version, r.severity.label, _when(r), _window(r), r.explain) for r in rules]
    columns = ["rule", "version#", "severity", "when", "window", "explanation"]
    shared(context).screen.print(table("Rules", columns, rows))


@rules_app.command("lint")
def lint_rules(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Rule files; the rules in force by default.")
    ] = None,
) -> None:
    """Check rule files; a wrong one is named with file and line.

    Example: [bold]guardian rules lint my_rule.yaml[/]
    """
    from clickstream_guardian.rules.lint import remarks
    from clickstream_guardian.rules.loader import parse_rule, read_rule_file

    if files:
        rules = tuple(parse_rule(read_rule_file(path), str(path)) for path in files)
    else:
        rules = _catalogue()
    for remark in remarks(rules):
        shared(context).screen.print(f"[yellow]{remark}[/]")
    shared(context).screen.print(f"{len(rules)} rule{'s' if len(rules) != 1 else ''} can be used.")


@rules_app.command("show")
def show_rule(
    context: typer.Context, name: Annotated[str, typer.Argument(help="A rule's name.")]
) -> None:
    """One rule as its file has it."""
    import difflib

    from clickstream_guardian.rules.loader import rule_text

    rules = {rule.name: rule for rule in _catalogue()}
    if name not in rules:
        near = difflib.get_close_matches(name.upper(), rules, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]}?" if near else "see `guardian rules list`."
        raise UsageError(f"No rule is named {name!r}; {hint}")
    shared(context).screen.print(rule_text(rules[name]), markup=False)


def _catalogue() -> tuple[Rule, ...]:
    from clickstream_guardian.rules.loader import load_catalogue

    return load_catalogue(load_settings().rules_dir)


def _when(rule: Rule) -> str:
    return " and ".join(f"{name} {threshold.text}" for name, threshold in rule.when.items())


def _window(rule: Rule) -> str:
    size, every = rule.window.size_us / 1e6, rule.window.every_us / 1e6
    return f"{size:g} s" if rule.window.panes == 1 else f"{size:g} s every {every:g} s"


def _as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "version": rule.version,
        "severity": rule.severity.label,
        "key": rule.key,
        "events": rule.events,
        "window_seconds": rule.window.size_us / 1e6,
        "every_seconds": rule.window.every_us / 1e6,
        "when": {name: threshold.text for name, threshold in rule.when.items()},
        "explain": rule.explain,
        "file": rule.place,
    }
