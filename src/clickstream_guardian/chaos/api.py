"""The API beside a fault: asked several times a second, whether it answers in time and in form."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from typing import Self

import httpx

from clickstream_guardian.chaos.load import COMMAND, kept_environment, stop
from clickstream_guardian.errors import GuardianError

ASKED = ("/anomalies?limit=20", "/status")
"""One that may be answered from what was answered before, and one that may not."""
_PAUSE_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0


class Kind(StrEnum):
    """What an answer of the API is."""

    FRESH = "fresh"
    STALE = "stale"
    REFUSED = "refused"
    """503 as problem JSON, and when to come again."""
    WRONG = "wrong"
    """None at all, or of another form."""


@dataclass(frozen=True)
class ApiLook:
    """One question.

    Attributes:
        at: seconds since watching began.
        seconds: until the answer was there.
    """

    at: float
    seconds: float
    kind: Kind


@dataclass(frozen=True)
class ApiVerdict:
    """How the API did, answers by their kind.

    Attributes:
        slowest_seconds: the longest that an answer took.
        within_second_ratio: share of the answers that were there within 1 s.
    """

    fresh: int
    stale: int
    refused: int
    wrong: int
    slowest_seconds: float
    within_second_ratio: float


def api_verdict(looks: Sequence[ApiLook], away: Sequence[tuple[float, float]] = ()) -> ApiVerdict:
    """How the API did.

    Args:
        looks: its answers.
        away: from when to when its database was away; what it answers then without a mark is wrong.
    """
    kinds = [_in_truth(one, away) for one in looks]
    counts = {kind: kinds.count(kind) for kind in Kind}
    prompt = sum(one.seconds <= 1 for one in looks)
    return ApiVerdict(
        fresh=counts[Kind.FRESH],
        stale=counts[Kind.STALE],
        refused=counts[Kind.REFUSED],
        wrong=counts[Kind.WRONG],
        slowest_seconds=round(max((one.seconds for one in looks), default=0.0), 2),
        within_second_ratio=round(prompt / max(1, len(looks)), 4),
    )


def _in_truth(look: ApiLook, away: Sequence[tuple[float, float]]) -> Kind:
    ended = look.at + look.seconds
    had_nothing = any(begin <= look.at and ended <= end for begin, end in away)
    return Kind.WRONG if had_nothing and look.kind is Kind.FRESH else look.kind


def kind_of(answer: httpx.Response) -> Kind:
    """What an answer is, by its status and its head."""
    if answer.status_code == 200:
        is_stale = "detail=stale" in answer.headers.get("cache-status", "")
        return Kind.STALE if is_stale else Kind.FRESH
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    is_refusal = answer.status_code == 503 and is_problem and "retry-after" in answer.headers
    return Kind.REFUSED if is_refusal else Kind.WRONG


class ApiWatch:
    """``guardian serve`` on a database, and somebody who asks it, as long as the ``with``.

    Args:
        folder: for a home of its own and its log.
        database: the database's URL.
        now: seconds since watching began.

    Raises:
        GuardianError: the API does not come to answer.
    """

    def __init__(self, folder: Path, database: str, now: Callable[[], float]) -> None:
        self._folder = folder / "api"
        self._database = database
        self._now = now
        self._url = f"http://127.0.0.1:{_free_port()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.looks: list[ApiLook] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        home = {"GUARDIAN_HOME": str(self._folder), "DATABASE_URL": self._database}
        with (self._folder / "serve.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", "--no-dashboard", "--port", self._url.rpartition(":")[2]],
                env=kept_environment() | home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            stop(self._process)
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        try:
            self._thread.join()
        finally:
            if self._process is not None:
                stop(self._process)

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "serve.log").read_text()[-500:]
                raise GuardianError(f"The API did not come up: {said}")
            time.sleep(_PAUSE_SECONDS)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._url}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            for path in cycle(ASKED):
                if self._stop.wait(_PAUSE_SECONDS):
                    break
                at, began = self._now(), time.monotonic()
                try:
                    kind = kind_of(client.get(path))
                except httpx.HTTPError:
                    kind = Kind.WRONG
                self.looks.append(ApiLook(at, time.monotonic() - began, kind))


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
