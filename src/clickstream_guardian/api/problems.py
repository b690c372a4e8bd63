"""Errors as RFC 9457 problem JSON, whatever raised them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pydantic_core
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from clickstream_guardian.api.spare import asked, spare_of
from clickstream_guardian.store.read import BusyError, SlowQueryError, UnreachableError

MEDIA_TYPE = "application/problem+json"
TITLES = {
    401: "API key needed",
    404: "Not found",
    405: "Method not allowed",
    422: "Parameter does not fit",
    429: "Too many requests",
    500: "Internal error",
    503: "Try later",
}
BUSY_SECONDS = 1
DOWN_SECONDS = 5


class ApiProblem(Exception):  # noqa: N818  (a problem, in the words of RFC 9457)
    """An answer that is a problem.

    Attributes:
        status: HTTP status.
        detail: what was wrong here and what to do, in a sentence.
        headers: to send along.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def not_found(detail: str) -> ApiProblem:
    """What was asked for is not there."""
    return ApiProblem(404, detail)


def try_later(detail: str, seconds: int) -> ApiProblem:
    """It cannot be answered now."""
    return ApiProblem(503, detail, {"Retry-After": str(seconds)})


def problem(
    status: int,
    detail: str,
    instance: str,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """The response for one problem."""
    title = TITLES.get(status) or HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"urn:guardian:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
    }
    if errors:
        body["errors"] = errors
    return Response(
        pydantic_core.to_json(body),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        MEDIA_TYPE,
    )


def handle_problems(app: FastAPI) -> None:
    """Answer everything that can go wrong as a problem."""
    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in (BusyError, SlowQueryError, UnreachableError):
        app.add_exception_handler(kind, _on_database)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblem)
    return problem(error.status, error.detail, request.url.path, error.headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own: no such route, or not by this method."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    details = {
        404: f"Nothing is at {path}; GET /docs shows what there is.",
        405: f"{path} does not answer to {request.method}; the API is read-only: use GET.",
    }
    return problem(
        error.status_code, details.get(error.status_code, str(error.detail)), path, error.headers
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "where": str(one["loc"][0]),
            "name": ".".join(str(part) for part in one["loc"][1:]) or "-",
            "detail": _meaning(one),
        }
        for one in error.errors()
    ]
    first = errors[0]
    detail = f"{first['name']}: {first['detail']}; GET /docs shows what fits."
    return problem(422, detail, request.url.path, errors=errors)


def _meaning(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such parameter here"
    return str(error["msg"]).removeprefix("Value error, ")


async def _on_database(request: Request, error: Exception) -> Response:
    """The database is busy, slow or away: the last answer, or when to come again."""
    if (kept := spare_of(request).find(asked(request))) is not None:
        return kept
    path = request.url.path
    if isinstance(error, BusyError):
        detail, seconds = "All connections are busy; try again in a moment.", BUSY_SECONDS
    elif isinstance(error, SlowQueryError):
        detail, seconds = "The database took too long; ask for less, or later.", BUSY_SECONDS
    else:
        detail, seconds = "The database does not answer; it is being looked for.", DOWN_SECONDS
    return problem(503, detail, path, {"Retry-After": str(seconds)})
