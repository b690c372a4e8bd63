"""Routes over verdicts: a session, and what to do about which sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import pydantic_core
from fastapi import APIRouter, Query, Request, Response

from clickstream_guardian.api import models
from clickstream_guardian.api.anomalies import newest_event
from clickstream_guardian.api.answers import Holds, json_answer, json_list
from clickstream_guardian.api.context import parts_of, reader_of
from clickstream_guardian.api.parameters import (
    DecisionParameters,
    NoParameters,
    SessionPath,
    within_calendar,
)
from clickstream_guardian.api.problems import not_found
from clickstream_guardian.store import read_verdicts

router = APIRouter(tags=["verdicts"])

_VERDICTS = {"challenge": "suspect", "block": "abusive", None: None}
_LIST = "text/plain"


@router.get("/sessions/{session_id:path}", response_model=models.Session)
async def session(
    request: Request, session_id: SessionPath, _: Annotated[NoParameters, Query()]
) -> Response:
    """The verdict on one session, what each rule holds against it, and its timeline.

    A session that no rule ever spoke of is not found: nothing is known against it.
    """
    found = await reader_of(request).row(read_verdicts.session(session_id))
    if found is None:
        raise not_found(
            f"Nothing was ever held against session {session_id!r}; GET /anomalies lists those "
            "that have anomalies."
        )
    return json_answer(request, found[0].encode(), spared=False)


@router.get(
    "/decisions",
    response_model=models.Decisions,
    responses={200: {"content": {_LIST: {"schema": {"type": "string"}}}}},
)
async def decisions(request: Request, asked: Annotated[DecisionParameters, Query()]) -> Response:
    """Sessions to challenge or block, newest first, each with its time to live.

    As JSON, or as a plain list (`format=list`, or `Accept: text/plain`): a session id per line.
    In shadow mode, the default, every line of the list is a comment, so that a machine that acts
    on it does nothing; ids with line breaks stand in the JSON alone.
    """
    config, reader = parts_of(request).config, reader_of(request)
    as_of = within_calendar(asked.as_of or await newest_event(reader))
    rows = await reader.rows(
        read_verdicts.decisions(
            as_of, config.decision_seconds, _VERDICTS[asked.action], asked.limit
        )
    )
    mode = "enforce" if config.decisions_enforced else "shadow"
    if _wants_list(request, asked.format):
        body, media_type = _plain_list(mode, [row[1] for row in rows]), _LIST
    else:
        body, media_type = _json(mode, as_of, [row[0] for row in rows]), "application/json"
    return json_answer(
        request, body, Holds.NOW, media_type, "Accept, Accept-Encoding", spared=False
    )


def _json(mode: str, as_of: datetime, rows: list[str]) -> bytes:
    at = pydantic_core.to_json(as_of).decode()
    return f'{{"mode":"{mode}","as_of":{at},"decisions":{json_list(rows)}}}'.encode()


def _plain_list(mode: str, sessions: list[str]) -> bytes:
    mark = "# " if mode == "shadow" else ""
    told = [one for one in sessions if len(one.splitlines()) == 1]
    return "".join(f"{line}\n" for line in (f"# mode: {mode}", *(mark + s for s in told))).encode()


def _wants_list(request: Request, form: str | None) -> bool:
    """As asked for by name; otherwise whichever of both stands first in Accept."""
    if form is not None:
        return form == "list"
    for part in request.headers.get("accept", "").split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in (_LIST, "application/json", "*/*"):
            return kind == _LIST
    return False
