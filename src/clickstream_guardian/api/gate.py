"""Who may come in, and how often: API keys and a token bucket per key."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from clickstream_guardian.api.problems import problem
from clickstream_guardian.api.spare import KEPT_SECONDS as SPARE_SECONDS
from clickstream_guardian.store.keys import hash_key, live_keys
from clickstream_guardian.store.read import BusyError, Reader, SlowQueryError, UnreachableError

KEPT_SECONDS = 5.0
"""How long the list of keys is trusted: a revoked key works no longer than this."""

_LOOK_AGAIN_SECONDS = 0.5  # after an unknown key, which may be a new one
_AWAY_SECONDS = KEPT_SECONDS + SPARE_SECONDS
OPEN_PATHS = frozenset({"/", "/health", "/health/ready", "/openapi.json"})

Clock = Callable[[], float]


@dataclass
class TokenBucket:
    """Lets through ``rate`` requests per second in the long run and ``burst`` at once."""

    rate: float
    burst: int
    tokens: float
    at: float

    def wait(self, now: float) -> float:
        """Take a token: 0; or, where there is none, the seconds until there is one."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class KeyRing:
    """The keys that work, read from the database every few seconds.

    While it is away, keys that worked when they were last read still do for as long as there may be
    answers to give: it is where a key would be revoked, too.
    """

    def __init__(self, reader: Reader, clock: Clock = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._hashes: dict[str, bytes] = {}
        self._read_at = -math.inf
        self._reading: asyncio.Task[None] | None = None

    async def owner(self, secret: str) -> str | None:
        """The id of the key; None if it does not work.

        Raises:
            BusyError, SlowQueryError, UnreachableError: the keys could not be read.
        """
        key_id = secret.split("_")[1] if secret.count("_") >= 2 else ""
        works = self._works(key_id, secret)
        if self._age >= (KEPT_SECONDS if works else _LOOK_AGAIN_SECONDS):
            try:
                await self._read()
            except (SlowQueryError, UnreachableError):
                if not works or self._age >= _AWAY_SECONDS:
                    raise
            works = self._works(key_id, secret)
        return key_id if works else None

    @property
    def _age(self) -> float:
        return self._clock() - self._read_at

    def _works(self, key_id: str, secret: str) -> bool:
        stored = self._hashes.get(key_id)
        return stored is not None and hmac.compare_digest(stored, hash_key(secret))

    async def _read(self) -> None:
        """Read once for all who ask meanwhile: none waits for more than one reading."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_now())
        await asyncio.shield(self._reading)

    async def _read_now(self) -> None:
        try:
            self._hashes = dict(await self._reader.rows(live_keys()))
            self._read_at = self._clock()
        finally:
            self._reading = None


class Gate:
    """ASGI middleware that asks for a key and counts its requests."""

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyRing,
        rate: float,
        burst: int,
        clock: Clock = time.monotonic,
    ) -> None:
        self._app = app
        self._keys = keys
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 429 or 503."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path in OPEN_PATHS or path.startswith("/docs"):
            await self._app(scope, receive, send)
            return
        try:
            owner = await self._keys.owner(_secret(scope))
        except (BusyError, SlowQueryError, UnreachableError):
            detail = "The API keys cannot be read now; try again in a moment."
            refusal = problem(503, detail, path, {"Retry-After": "1"})
            await refusal(scope, receive, send)
            return
        if owner is None:
            detail = (
                "A working API key is needed: send `Authorization: Bearer KEY`; "
                "`guardian keys create` makes one."
            )
            refusal = problem(401, detail, path, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        wait = self._bucket(owner).wait(self._clock())
        if wait:
            detail = f"This key may send {self._rate:g} requests per second; slow down."
            refusal = problem(429, detail, path, {"Retry-After": str(math.ceil(wait))})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _bucket(self, owner: str) -> TokenBucket:
        bucket = self._buckets.get(owner)
        if bucket is None:
            bucket = TokenBucket(self._rate, self._burst, self._burst, self._clock())
            self._buckets[owner] = bucket
        return bucket


def _secret(scope: Scope) -> str:
    scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
