"""The outermost layer: security headers, a problem for every surprise, a count of every request."""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clickstream_guardian.api.measures import Measures
from clickstream_guardian.api.problems import problem

_log = logging.getLogger("clickstream_guardian.api")

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_JSON_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
)


class Edge:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HTTP requests through; anything else unchanged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}
            send = _without_body(send)

        async def send_more(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS, _policy(scope)]
            await send(message)

        try:
            await self._app(scope, receive, send_more)
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if status:
                raise  # part of the answer is out: only cutting the connection tells the client
            detail = "Something went wrong on our side; the log of the API says what."
            await problem(500, detail, scope["path"])(scope, receive, send_more)
        finally:
            self._count(scope, method, status, time.perf_counter() - began)

    def _count(
        self, scope: MutableMapping[str, Any], method: str, status: int, seconds: float
    ) -> None:
        route = getattr(scope.get("route"), "path_format", "other")
        streams = route.endswith("/stream")
        self._measures.answered(route, method, status, None if streams else seconds)


def _without_body(send: Send) -> Send:
    """The answer to HEAD: that to GET without its body, ended where the body would begin."""
    is_ended = False

    async def send_head(message: Message) -> None:
        nonlocal is_ended
        if message["type"] != "http.response.body":
            await send(message)
        elif not is_ended:
            is_ended = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_head


def _policy(scope: Scope) -> tuple[bytes, bytes]:
    return _PAGE_POLICY if scope["path"].startswith("/docs") else _JSON_POLICY
