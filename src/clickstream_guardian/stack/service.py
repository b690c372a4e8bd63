"""What a server of the stack is: how it starts, how one sees that it is ready, where it listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


def nothing() -> None:
    """Nothing to do."""


@dataclass(frozen=True)
class Service:
    """One process under the supervisor.

    Attributes:
        name: its name, such as ``kafka-1``.
        group: what it belongs to, such as ``kafka``; a group is started and stopped as one.
        command: program and arguments.
        folder: its own folder, which is also its working directory.
        address: where it listens, for people.
        probe: raises while the server is not ready to work.
        ports: ports it binds.
        environment: variables it is given.
        prepare: makes its folder, configuration and data before the start; idempotent.
        begin: what is to be done when the groups before it are ready, before it starts; idempotent.
        finish: what is to be done once it is ready (a database, a bucket); idempotent.
        account: what a client logs in with, for people; no password.
        user: the system user it runs as, if not ours.
        stop_signal: signal that asks it to end.
        stop_seconds: how long it may take to end before it is killed.
    """

    name: str
    group: str
    command: tuple[str, ...]
    folder: Path
    address: str
    probe: Callable[[], None]
    ports: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = nothing
    begin: Callable[[], None] = nothing
    finish: Callable[[], None] = nothing
    account: str = ""
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 30


GROUPS: Mapping[str, tuple[str, ...]] = {
    "postgres": (),
    "s3": (),
    "kafka": (),
    "registry": ("postgres",),
    "connect": ("postgres", "s3", "kafka", "registry"),
    "watch": ("connect",),
    "spark": (),
    "airflow-api": ("postgres",),
    "airflow": ("airflow-api",),
}
"""The groups in the order they start, each with those that it cannot do without."""

ON_REQUEST = frozenset({"airflow-api", "airflow"})
"""Groups that start only when they are named."""


def with_needs(names: tuple[str, ...]) -> tuple[str, ...]:
    """The named groups and what they need, in starting order."""
    wanted: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in wanted:
            wanted.add(name)
            stack.extend(GROUPS[name])
    return tuple(name for name in GROUPS if name in wanted)
