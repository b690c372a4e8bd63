"""JSON answers: fingerprinted, compressed where asked for, with how long they hold."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from enum import StrEnum

import xxhash
from fastapi import Request, Response

from clickstream_guardian.api.spare import asked, spare_of

_GZIP = 31  # zlib's name for a gzip header around the largest window
_COMPRESS_FROM = 1000  # bytes; less does not pay


class Holds(StrEnum):
    """How long an answer may be used again: the value of Cache-Control.

    A past day no longer grows by itself; only late events and a recomputation change it.
    """

    PAST = "private, max-age=300"
    NOW = "private, no-cache"


def json_answer(
    request: Request,
    body: bytes,
    holds: Holds = Holds.NOW,
    media_type: str = "application/json",
    vary: str = "Accept-Encoding",
    *,
    spared: bool = True,
) -> Response:
    """The body, or 304 where the client has it.

    Args:
        request: what was asked.
        body: the whole answer.
        holds: how long it may be used again.
        media_type: what the body is, where it is no JSON.
        vary: request headers that choose between answers.
        spared: given again, marked as stale, while the database is away. Not what is asked to act
            on, or to learn how things are now.
    """
    if spared:
        spare_of(request).keep(asked(request), body, media_type)
    tag = f'W/"{xxhash.xxh3_64_hexdigest(body)}"'
    headers = {"ETag": tag, "Cache-Control": holds.value, "Vary": vary}
    given = request.headers
    if _has(given.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if len(body) >= _COMPRESS_FROM and _takes_gzip(given.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        packing = zlib.compressobj(1, wbits=_GZIP)
        body = packing.compress(body) + packing.flush()
    return Response(body, headers=headers, media_type=media_type)


def json_list(texts: Iterable[str]) -> str:
    """JSON values as one JSON list."""
    return f"[{','.join(texts)}]"


def _has(known: str | None, tag: str) -> bool:
    return known is not None and (known.strip() == "*" or tag in known)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding allows gzip (``gzip;q=0`` does not)."""
    for part in accepted.split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
