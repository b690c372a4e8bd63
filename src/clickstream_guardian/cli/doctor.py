"""The command that looks for the usual troubles and names the remedy of each."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from clickstream_guardian.cli.context import shared
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickstream_guardian.pipelines.replay import Parts

_LEAST_FREE_BYTES = 2 << 30
_OK, _TROUBLE = "ok", "trouble"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, what was seen, what to do."""

    what: str
    state: str
    said: str
    remedy: str = ""


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One finding a line.")] = False,
) -> None:
    """Look for the usual troubles and name the remedy of each; exit code 1 if there is one.

    Example: [bold]guardian doctor[/]
    """
    from rich.text import Text

    from clickstream_guardian.cli.screen import table

    found = list(examine(load_settings()))
    if as_json:
        for one in found:
            typer.echo(json.dumps(asdict(one)))
    else:
        style = {_OK: "green", _TROUBLE: "red"}
        rows = [
            (one.what, Text(one.state, style[one.state]), one.said, one.remedy) for one in found
        ]
        shared(context).screen.print(table("", ["what", "state", "seen", "remedy"], rows))
    troubles = [one for one in found if one.state == _TROUBLE]
    if troubles:
        count = f"{len(troubles)} trouble{'s' if len(troubles) != 1 else ''}"
        raise GuardianError(f"{count}: {', '.join(one.what for one in troubles)}.")


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything there is to look at, one after the other; a later check needs the earlier ones."""
    yield _home(settings)
    yield _disk(settings)
    yield _writer(settings)
    yield _port("API port", settings.bind_host, settings.api_port, "GUARDIAN_API_PORT")
    dashboard = ("dashboard port", settings.bind_host, settings.dashboard_port)
    yield _port(*dashboard, "GUARDIAN_DASHBOARD_PORT")
    yield _tried(
        "rules", lambda: _rules(settings), "mend the file; `guardian rules lint` checks it"
    )
    yield _tried("alert channels", lambda: _channels(settings), "mend GUARDIAN_ALERT_CHANNELS")
    if (settings.home_path / "stack").is_dir():
        yield _tried(
            "stack", lambda: _stack(settings), "`guardian stack up`, then `stack logs NAME`"
        )
    yield from _data(settings)


def _home(settings: Settings) -> Finding:
    from clickstream_guardian.pipelines.home import Home

    def look() -> str:
        Home(settings.home_path).prepare()
        return str(settings.home_path)

    return _tried("home", look, "set GUARDIAN_HOME to a folder of yours")


def _disk(settings: Settings) -> Finding:
    home = settings.home_path
    while not home.exists():
        home = home.parent
    free = shutil.disk_usage(home).free
    said = f"{free / 1e9:,.1f} GB free"
    if free < _LEAST_FREE_BYTES:
        return Finding("disk", _TROUBLE, said, "make room; every command goes on where it stopped")
    return Finding("disk", _OK, said)


def _writer(settings: Settings) -> Finding:
    from filelock import FileLock, Timeout

    lock = FileLock(settings.home_path / "writer.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = settings.home_path / "writer.txt"
        name = holder.read_text().strip() if holder.exists() else "a command"
        return Finding("writer", _OK, f"{name} is writing")
    except OSError as error:
        said = f"the lock cannot be taken ({error.strerror})"
        return Finding("writer", _TROUBLE, said, "give the home to the user who runs Guardian")
    lock.release()
    return Finding("writer", _OK, "nobody is writing")


def _port(what: str, host: str, port: int, setting: str) -> Finding:
    if port == 0:
        return Finding(what, _OK, "any free one")
    try:
        with closing(socket.create_server((host, port))):
            return Finding(what, _OK, f"{port} is free")
    except OSError as error:
        remedy = f"if that is no `guardian serve`, stop it or set {setting}"
        state = _OK if _is_ours(host, port) else _TROUBLE
        return Finding(what, state, f"{port} is taken ({error.strerror})", remedy)


def _is_ours(host: str, port: int) -> bool:
    """Whether what answers there is an API of Guardian or its dashboard."""
    import httpx

    try:
        found = httpx.get(f"http://{host}:{port}/health", timeout=2)
    except httpx.HTTPError:
        return False
    return found.is_success


def _rules(settings: Settings) -> str:
    from clickstream_guardian.rules.loader import load_catalogue

    return f"{len(load_catalogue(settings.rules_dir))} rules"


def _channels(settings: Settings) -> str:
    from clickstream_guardian.alerts.deliver import open_channels

    urls = settings.alert_channels.get_secret_value() if settings.alert_channels else ""
    count = len(open_channels(urls))
    return f"{count} channels" if count else "none: alerts go to alerts.jsonl in the home"


def _stack(settings: Settings) -> str:
    from clickstream_guardian.stack.lifecycle import status

    states = status(settings)
    bad = [f"{one.name} {one.state}" for one in states if one.state != "READY"]
    if bad:
        raise GuardianError(", ".join(bad))
    return f"{len(states)} servers are ready"


def _data(settings: Settings) -> Iterator[Finding]:
    """Database and lake, and whether what they hold adds up."""
    from clickstream_guardian.cli.opening import opened

    try:
        with opened(settings) as parts:
            yield Finding("database", _OK, parts.store.place)
            yield _balance(parts)
            yield _dirty(parts)
            yield _letters(parts)
            yield _batch(parts)
    except GuardianError as error:
        yield Finding("database and lake", _TROUBLE, str(error), "see the sentence beside")


def _balance(parts: Parts) -> Finding:
    from clickstream_guardian.pipelines.reconcile import reconcile

    found = reconcile(parts.store, parts.lake)
    if found.imbalances:
        said = f"{len(found.imbalances)} balances do not hold"
        return Finding("reconciliation", _TROUBLE, said, "`guardian reconcile` names them")
    return Finding("reconciliation", _OK, f"{found.came_in:,} came in, all of them are there")


def _dirty(parts: Parts) -> Finding:
    from clickstream_guardian.pipelines.daily import dirty_days

    today = datetime.now(UTC).date()  # the day that runs has no numbers yet, or old ones
    days = [day for day in dirty_days(parts.store, parts.lake) if day < today]
    if days:
        said = f"{len(days)} are out of date, the first {days[0]}"
        return Finding("days", _TROUBLE, said, "`guardian batch --dirty`")
    return Finding("days", _OK, "all are computed from what the lake holds")


def _letters(parts: Parts) -> Finding:
    from clickstream_guardian.lake.rejected import LetterFilter
    from clickstream_guardian.pipelines.deadletter import find_letters, open_letters

    still_open, _ = open_letters(parts.store, find_letters(parts.lake, LetterFilter()))
    said = f"{len(still_open):,} open"
    return Finding("dead letters", _OK, said, "`guardian deadletter list`" if still_open else "")


def _batch(parts: Parts) -> Finding:
    from clickstream_guardian.store.snapshots import load_batch_error

    with parts.store.begin() as connection:
        error = load_batch_error(connection)
    if error is not None:
        return Finding("batch", _TROUBLE, error, "mend it, then `guardian batch --dirty`")
    return Finding("batch", _OK, "the last run ended well, or there was none")


def _tried(what: str, look: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(what, _OK, look())
    except (GuardianError, OSError) as error:
        return Finding(what, _TROUBLE, str(error), remedy)
