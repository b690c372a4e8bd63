"""Commands on dead letters (list, show, retry, drop), and the proof that nothing is missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.cli.plain import plain
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.lake.lake import Lake
    from clickstream_guardian.lake.rejected import DeadLetter, LetterFilter
    from clickstream_guardian.pipelines.deadletter import MessageDecoding, Retried
    from clickstream_guardian.pipelines.reconcile import Imbalance

deadletter_app = typer.Typer(
    help="Lines and messages that could not become an event.", no_args_is_help=True
)
_SHOWN = 20

Which = Annotated[
    list[str] | None, typer.Argument(help="Letters as `list` names them: source/partition/offset.")
]
OfReason = Annotated[str | None, typer.Option("--reason", help="All of this reason code.")]
OfSource = Annotated[
    str | None, typer.Option("--source", help="All of the source whose name begins so.")
]
Json = Annotated[bool, typer.Option("--json", help="For a machine.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(reconcile)
    app.add_typer(deadletter_app, name="deadletter")


@deadletter_app.command("list")
def list_letters(
    context: typer.Context,
    reason: OfReason = None,
    source: OfSource = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = _SHOWN,
    all_: Annotated[bool, typer.Option("--all", help="Retried and dropped ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One letter a line.")] = False,
) -> None:
    """Count open dead letters by hour and reason, and list the newest.

    Example: [bold]guardian deadletter list --reason bad_timestamp[/]
    """
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.cli.screen import table
    from clickstream_guardian.lake.rejected import LetterFilter
    from clickstream_guardian.pipelines import deadletter

    with opened(load_settings()) as parts:
        letters = deadletter.find_letters(parts.lake, LetterFilter(source or "", reason))
        still_open, decisions = deadletter.open_letters(parts.store, letters)
    listed = letters if all_ else still_open
    states = {key: decision.decision for key, decision in decisions.items()}
    if as_json:
        for letter in listed[:limit]:
            typer.echo(json.dumps(_as_dict(letter, states)))
        return
    screen = shared(context).screen
    counts = deadletter.count_letters(listed)
    screen.print(table(f"Dead letters: {len(listed):,}", ["hour", "reason", "letters#"], counts))
    rows = [
        (_name(one), one.place, one.line_number or "", one.reason, _state(one, states), _short(one))
        for one in listed[:limit]
    ]
    screen.print(table("", ["letter", "place", "line#", "reason", "state", "bytes"], rows))


@deadletter_app.command("show")
def show_letter(
    context: typer.Context,
    letter: Annotated[str, typer.Argument(help="source/partition/offset.")],
    as_json: Json = False,
) -> None:
    """One dead letter with its bytes.

    Example: [bold]guardian deadletter show 3f2a9c/0/17[/]
    """
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.cli.screen import table
    from clickstream_guardian.pipelines import deadletter

    with opened(load_settings()) as parts:
        found = _named(parts.lake, letter)
        _, decisions = deadletter.open_letters(parts.store, [found])
    shown = _as_dict(found, {key: one.decision for key, one in decisions.items()})
    if as_json:
        typer.echo(json.dumps(shown))
    else:
        shared(context).screen.print(table("", ["", ""], list(shown.items())))


@deadletter_app.command("retry")
def retry(
    context: typer.Context,
    letters: Which = None,
    reason: OfReason = None,
    source: OfSource = None,
    replace: Annotated[
        str | None, typer.Option(help="A line to decode in place of the bytes of the one letter.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decode the same bytes again, after a fix, and land what is an event now.

    A letter is landed once: one that was retried or dropped before is refused. Killed, the next
    retry lands what this one had claimed.

    Example: [bold]guardian deadletter retry 3f2a9c/0/17 --replace 1,2014-04-07T10:00:00Z,5,S[/]
    """
    from clickstream_guardian.cli.opening import opened_for_upkeep
    from clickstream_guardian.pipelines.deadletter import Retry

    settings = load_settings()
    if replace is not None and len(letters or ()) != 1:
        raise UsageError("--replace is the line of one letter; name that letter alone.")
    with opened_for_upkeep(settings, "guardian deadletter retry") as (store, lake):
        chosen = _chosen(lake, letters, reason, source)
        done = Retry(store, lake, _message_decoding(settings)).run(chosen, replace)
    if as_json:
        typer.echo(json.dumps(_told(done)))
    else:
        _show_retried(context, done)
    _refuse(done, bool(letters), "retried")


@deadletter_app.command("drop")
def drop(
    context: typer.Context, letters: Which = None, reason: OfReason = None, source: OfSource = None
) -> None:
    """Note that letters need nothing more; their bytes stay in the lake.

    Example: [bold]guardian deadletter drop --reason too_few_fields[/]
    """
    from clickstream_guardian.cli.opening import opened_for_upkeep
    from clickstream_guardian.pipelines import deadletter

    with opened_for_upkeep(load_settings(), "guardian deadletter drop") as (store, lake):
        done = deadletter.drop(store, _chosen(lake, letters, reason, source))
    shared(context).screen.print(f"Dropped {len(done.landed)}.")
    _refuse(done, bool(letters), "dropped")


def reconcile(context: typer.Context, as_json: Json = False) -> None:
    """Prove that what came in is landed or rejected, by source and hour, each offset once.

    Ends with exit code 1 and names each difference, if there is any. On the cluster the log is
    held against the lake too, to the message.

    Example: [bold]guardian reconcile[/]
    """
    from clickstream_guardian.cli.opening import opened
    from clickstream_guardian.cli.screen import table
    from clickstream_guardian.pipelines.reconcile import reconcile as prove

    settings = load_settings()
    with opened(settings) as parts:
        found = prove(parts.store, parts.lake)
        of_log = _held_against_log(settings, parts.lake)
    differing = [*found.imbalances, *of_log]
    if as_json:
        imbalances = [asdict(one) for one in differing]
        typer.echo(json.dumps(asdict(found) | {"imbalances": imbalances}))
    else:
        rows = [(one.place, one.where, one.came_in, one.found) for one in differing[:_SHOWN]]
        screen = shared(context).screen
        screen.print(
            f"{found.sources} sources, {found.hours} hours: {found.came_in:,} came in, "
            f"{found.landed:,} landed, {found.rejected:,} rejected."
        )
        if rows:
            screen.print(table("Differences", ["source", "where", "in#", "in the lake#"], rows))
    if differing:
        raise GuardianError(
            f"{len(differing)} balances do not hold; see docs/operations for what to do."
        )


def _held_against_log(settings: Settings, lake: Lake) -> list[Imbalance]:
    """Topics whose messages are missing from the lake or lie there twice."""
    from clickstream_guardian.pipelines.reconcile import Imbalance

    if not (settings.warehouse or "").startswith("s3://"):
        return []
    from clickstream_guardian.stack.landing import audit

    found = []
    for one in audit(settings, lake):
        if one.missing:
            there = one.messages - one.missing
            found.append(Imbalance(one.topic, one.topic, "messages", one.messages, there))
        if one.repeated:
            found.append(Imbalance(one.topic, one.topic, "messages twice", 0, one.repeated))
    return found


def _chosen(
    lake: Lake, names: list[str] | None, reason: str | None, source: str | None
) -> list[DeadLetter]:
    from clickstream_guardian.lake.rejected import LetterFilter
    from clickstream_guardian.pipelines.deadletter import find_letters

    if bool(names) == bool(reason or source):
        raise UsageError("Say which letters: their names, or --reason and --source.")
    if names:
        return [_named(lake, name) for name in names]
    return find_letters(lake, LetterFilter(source or "", reason))


def _named(lake: Lake, name: str) -> DeadLetter:
    from clickstream_guardian.pipelines.deadletter import find_letters

    wanted = _filter_of(name)
    begun = find_letters(lake, wanted)
    found = [one for one in begun if one.source == wanted.source] or begun
    if len(found) != 1:
        count = "no letter" if not found else f"{len(found)} letters"
        raise UsageError(f"{name!r} names {count}; take a name from `guardian deadletter list`.")
    return found[0]


def _filter_of(name: str) -> LetterFilter:
    from clickstream_guardian.lake.rejected import LetterFilter

    source, partition, offset = ["", *name.rsplit("/", 2)][-3:]
    if not source or not partition.isdecimal() or not offset.isdecimal():
        raise UsageError(f"{name!r} is no letter; write source/partition/offset.")
    return LetterFilter(source, None, int(partition), int(offset))


def _message_decoding(settings: Settings) -> MessageDecoding:
    """Decodes messages with the registry's schemas; it is asked when a message comes."""

    def decode(kind: Any, raw: bytes, letter: DeadLetter) -> Any:
        from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
        from clickstream_guardian.sources.kafka.registry import SchemaRegistry

        registry = SchemaRegistry(settings.registry_url)
        decoder = MessageDecoder(kind, registry.by_id)
        found = decoder.decode([Arrived(raw, letter.received_at)])
        return found.rejected[0][1] if found.rejected else found.events

    return decode


def _refuse(done: Retried, by_name: bool, deed: str) -> None:
    if done.refused and by_name:
        names = ", ".join("/".join(map(str, key)) for key in done.refused[:3])
        raise UsageError(
            f"Retried or dropped before: {len(done.refused)} ({names}); nothing is {deed} twice."
        )
    if done.still:
        raise GuardianError(
            f"Still no event: {len(done.still)}; mend the cause, or give the line of one letter "
            "with --replace."
        )


def _show_retried(context: typer.Context, done: Retried) -> None:
    screen = shared(context).screen
    counts = {"landed": done.landed, "done before": done.refused, "still no event": done.still}
    told = ", ".join(f"{what} {len(letters)}" for what, letters in counts.items())
    screen.print(told.capitalize() + ".")
    for key, why in list(done.still.items())[:_SHOWN]:
        screen.print(f"{key.source[:12]}/{key.partition}/{key.offset}: {why}", markup=False)
    if done.days:
        days = ", ".join(map(str, done.days[:5])) + (" …" if len(done.days) > 5 else "")
        screen.print(f"Out of date: {days}; compute them with `guardian batch --dirty`.")


def _told(done: Retried) -> dict[str, object]:
    return {
        "landed": ["/".join(map(str, key)) for key in done.landed],
        "refused": ["/".join(map(str, key)) for key in done.refused],
        "still": {"/".join(map(str, key)): why for key, why in done.still.items()},
        "dirty_days": [str(day) for day in done.days],
    }


def _name(letter: DeadLetter) -> str:
    return f"{letter.source[:12]}/{letter.partition}/{letter.offset}"


def _short(letter: DeadLetter) -> str:
    return letter.raw if len(letter.raw) <= 60 else letter.raw[:59] + "…"


def _state(letter: DeadLetter, states: dict[Any, str]) -> str:
    return states.get((letter.source, letter.partition, letter.offset), "open")


def _as_dict(letter: DeadLetter, states: dict[Any, str]) -> dict[str, object]:
    values = {name: plain(value) for name, value in asdict(letter).items()}
    return {"letter": _name(letter), "state": _state(letter, states)} | values
