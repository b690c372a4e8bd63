"""Commands that try rules: backtest and whatif on days gone by, lab inject to make such days."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clickstream_guardian.cli.context import Shared, shared
from clickstream_guardian.cli.run import parse_days
from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.lab.trial import Outcome
    from clickstream_guardian.rules.model import Rule

DaysOption = Annotated[str, typer.Option(help="FROM..TO, inclusive, of the lake.")]
LabelsOption = Annotated[
    Path | None, typer.Option(help="labels.csv of a generated data set: the truth to score by.")
]
PictureOption = Annotated[Path | None, typer.Option(help="Draw it into this PNG.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For a machine.")]


lab_app = typer.Typer(help="Attacks with labels, to try rules on.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(backtest)
    app.command()(whatif)
    app.add_typer(lab_app, name="lab")


@lab_app.command("inject")
def inject(
    context: typer.Context,
    clicks: Annotated[Path, typer.Option(help="File of clean clicks: plain, .gz or .zst.")],
    out: Annotated[Path, typer.Option(help="Folder to write the new files and labels into.")],
    purchases: Annotated[Path | None, typer.Option(help="File of their purchases.")] = None,
    attacks: Annotated[
        str, typer.Option(help="trial (every family and control), default, or FILE.yaml.")
    ] = "trial",
    family: Annotated[
        list[str] | None, typer.Option(help="Only this family; may be given again.")
    ] = None,
    strength: Annotated[
        list[str] | None,
        typer.Option(help="Only naive, jittered, mimic or control; may be given again."),
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Attacking beside clean sessions; else as planned.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Put labelled attacks on top of clean files, your own shop's or generated ones.

    The files' own lines are copied as they are; the attacks copy their habits from the clean
    sessions of their day.

    Example: [bold]guardian lab inject --clicks clicks.csv --out tried --family click_farm[/]
    """
    from clickstream_guardian.lab.overlay import overlay

    common = shared(context)
    with common.notes.status("Injecting"):
        report = overlay(
            clicks,
            purchases,
            out,
            attacks=attacks,
            families=family or (),
            strengths=strength or (),
            share=share,
            seed=seed,
        )
    if as_json:
        typer.echo(json.dumps(asdict(report), default=str))
        return
    common.screen.print(
        f"{report.clicks:,} clicks and {report.purchases:,} purchases of "
        f"{sum(report.sessions.values()):,} sessions put on {report.first_day}..{report.last_day}; "
        f"the truth is in {report.labels_file}.",
        markup=False,
        soft_wrap=True,
    )
    _table(common, ["attack", "sessions#"], [[k, f"{v:,}"] for k, v in report.sessions.items()])


def backtest(
    context: typer.Context,
    days: DaysOption,
    rules: Annotated[
        list[Path] | None, typer.Argument(help="RULE.yaml …; the catalogue without any.")
    ] = None,
    labels: LabelsOption = None,
    picture: PictureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge days of the lake by rules and hold the outcome against labels.

    Nothing is written; late events are left out as they were. Without labels it tells what would
    be flagged, how the rules overlap and what the day's numbers would lose.

    Example: [bold]guardian backtest --days 2014-04-07..2014-04-13 --labels data/labels.csv[/]
    """
    from clickstream_guardian.lab.pictures import draw_scores

    settings, common = load_settings(), shared(context)
    chosen = [_read(path) for path in rules] if rules else _catalogue(settings)
    outcome = _judge(common, settings, chosen, days, labels)
    told = outcome.as_dict()
    if picture is not None:
        draw_scores(told, picture)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        _show(common, outcome)


def whatif(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="A rule of the catalogue, or RULE.yaml.")],
    days: DaysOption,
    setting: Annotated[str, typer.Option("--set", help="A measure and a range: clicks=30..120.")],
    points: Annotated[int, typer.Option(min=2, max=50, help="Values to try.")] = 10,
    labels: LabelsOption = None,
    picture: PictureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sweep one threshold of a rule over days of the lake: the curve of what it would flag.

    Example: [bold]guardian whatif HIGH_FREQUENCY --set clicks=30..120 --days 2014-04-07[/]
    """
    from clickstream_guardian.lab.pictures import draw_curve
    from clickstream_guardian.lab.whatif import parse_sweep, variants

    settings, common = load_settings(), shared(context)
    base = _named(settings, rule)
    sweep = parse_sweep(setting, points)
    outcome = _judge(common, settings, variants(base, sweep), days, labels)
    curve = outcome.curve(sweep)
    if picture is not None:
        draw_curve(curve, sweep.measure, base.when[sweep.measure].value, picture)
    if as_json:
        typer.echo(json.dumps(curve))
        return
    rows = [
        [f"{p['value']:g}", f"{p['flagged']:,}", _share(p["precision"]), _share(p["recall"])]
        for p in curve
    ]
    _table(common, [f"{sweep.measure}#", "flagged#", "precision#", "recall#"], rows)


def _judge(
    common: Shared, settings: Settings, rules: Any, days: str, labels: Path | None
) -> Outcome:
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.lab.history import History
    from clickstream_guardian.lab.scoring import read_labels
    from clickstream_guardian.lab.trial import try_rules

    truth = read_labels(labels) if labels is not None else None
    with opened(settings) as parts, common.notes.status("Judging"):
        history = History(parts.lake, *parse_days(days), parts.detector.lateness_us)
        return try_rules(rules, history.days, truth)


def _read(path: Path) -> Rule:
    from clickstream_guardian.rules.loader import parse_rule, read_rule_file

    return parse_rule(read_rule_file(path), str(path))


def _catalogue(settings: Settings) -> list[Rule]:
    from clickstream_guardian.rules.loader import load_catalogue

    return list(load_catalogue(settings.rules_dir))


def _named(settings: Settings, rule: str) -> Rule:
    if rule.endswith((".yaml", ".yml")):
        return _read(Path(rule))
    found = {one.name: one for one in _catalogue(settings)}
    if rule not in found:
        raise UsageError(f"No rule {rule!r}; the catalogue has {', '.join(found)}.")
    return found[rule]


def _show(common: Shared, outcome: Outcome) -> None:
    scores = outcome.scores
    common.screen.print(
        f"{outcome.events:,} events judged in {outcome.seconds:.1f} s "
        f"({outcome.events_per_second:,.0f}/s); {scores.clean_sessions:,} sessions without label, "
        f"{scores.flagged_clean:,} of them flagged "
        f"({scores.false_positives_per_million:.0f} per million), "
        f"{scores.flagged_controls:,} controls flagged."
    )
    rows = [
        [
            row["rule"],
            f"{row['flagged']:,}",
            f"{row['controls']:,}",
            f"{row['clean']:,}",
            _share(row["precision"]) if outcome.labelled else "",
        ]
        for row in scores.rules.iter_rows(named=True)
    ]
    _table(common, ["rule", "flagged#", "controls#", "no label#", "precision#"], rows)
    rows = [
        [
            row["family"],
            row["strength"],
            f"{row['sessions']:,}",
            *(_share(row[name]) for name in ("recall", "precision", "f1")),
            "" if row["delay_seconds"] is None else f"{row['delay_seconds']:,.1f}",
        ]
        for row in scores.families.iter_rows(named=True)
    ]
    head = ["family", "strength", "n#", "recall#", "precision#", "F1#", "delay s#"]
    if rows:
        _table(common, head, rows)
    rows = [
        [row["number"], f"{row['raw']:,.4g}", f"{row['clean']:,.4g}", f"{row['delta']:+,.4g}"]
        for row in outcome.numbers
    ]
    _table(common, ["number", "raw#", "without the flagged#", "change#"], rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(common: Shared, head: list[str], rows: list[list[str]]) -> None:
    from clickstream_guardian.cli.screen import table

    common.screen.print(table("", head, rows))
