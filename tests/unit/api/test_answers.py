"""Fingerprints, 304, compression."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from clickstream_guardian.api.answers import Holds, json_answer
from clickstream_guardian.api.spare import SpareAnswers

BODY = b'{"x":"' + b"y" * 2000 + b'"}'


def ask(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    app = SimpleNamespace(state=SimpleNamespace(context=SimpleNamespace(spare=SpareAnswers())))
    return Request({"type": "http", "path": "/", "query_string": b"", "headers": raw, "app": app})


def test_the_same_body_has_the_same_tag() -> None:
    first, again, other = (json_answer(ask(), body) for body in (BODY, BODY, b"{}"))
    assert first.headers["etag"] == again.headers["etag"] != other.headers["etag"]


@pytest.mark.parametrize("known", ["{tag}", '"other", {tag}', "*"])
def test_what_the_client_has_is_not_sent_again(known: str) -> None:
    tag = json_answer(ask(), BODY).headers["etag"]
    answer = json_answer(ask(if_none_match=known.format(tag=tag)), BODY, Holds.PAST)
    assert (answer.status_code, answer.body) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "private, max-age=300"


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*"])
def test_compressed_where_asked_for(accepted: str) -> None:
    answer = json_answer(ask(accept_encoding=accepted), BODY)
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(bytes(answer.body)) == BODY


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0", "gzipped"])
def test_plain_where_not(accepted: str) -> None:
    answer = json_answer(ask(accept_encoding=accepted), BODY)
    assert "content-encoding" not in answer.headers
    assert answer.body == BODY


def test_a_short_body_is_not_worth_compressing() -> None:
    assert json_answer(ask(accept_encoding="gzip"), b"{}").body == b"{}"
