"""The last good answers, kept for a short while for when the database is away.

What is given out of them is marked: `Age` says how old it is, and `Cache-Status` (RFC 9211) that it
is past its time. Nobody is told to keep it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from fastapi import Request, Response

KEPT_SECONDS = 60.0
"""An answer older than this is no answer any more."""
MOST_BYTES = 16 << 20
_MOST_OF_ONE = MOST_BYTES >> 5


@dataclass(frozen=True)
class SpareAnswer:
    """A body as it was sent, and when."""

    body: bytes
    media_type: str
    at: float


class SpareAnswers:
    """Bodies by what was asked, those used last; bounded in bytes.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, SpareAnswer] = OrderedDict()
        self._bytes = 0

    def keep(self, asked: str, body: bytes, media_type: str) -> None:
        """Keep an answer of now."""
        self._forget(asked)
        if len(body) > _MOST_OF_ONE:
            return
        self._kept[asked] = SpareAnswer(body, media_type, self._clock())
        self._bytes += len(body)
        while self._bytes > MOST_BYTES:
            self._forget(next(iter(self._kept)))

    def find(self, asked: str) -> Response | None:
        """The last answer, marked as stale; None if there is none, or it is too old."""
        found = self._kept.get(asked)
        if found is None:
            return None
        age = self._clock() - found.at
        if age > KEPT_SECONDS:
            self._forget(asked)
            return None
        headers = {
            "Age": str(int(age)),
            "Cache-Control": "no-store",
            "Cache-Status": f"guardian; hit; ttl=-{int(age)}; detail=stale",
        }
        return Response(found.body, headers=headers, media_type=found.media_type)

    def _forget(self, asked: str) -> None:
        if (gone := self._kept.pop(asked, None)) is not None:
            self._bytes -= len(gone.body)


def spare_of(request: Request) -> SpareAnswers:
    """Those of the application that was asked."""
    return cast(SpareAnswers, request.app.state.context.spare)


def asked(request: Request) -> str:
    """What was asked, as answers are kept by."""
    scope = request.scope  # `request.url` would put a whole URL together
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
