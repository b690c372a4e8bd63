"""The API as a page of the documentation, from its own OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.gate import KEPT_SECONDS
from clickstream_guardian.api.problems import TITLES
from clickstream_guardian.api.spare import KEPT_SECONDS as SPARE_SECONDS
from clickstream_guardian.store.read import ReaderConfig

_HEAD = f"""# The API

*Generated from the OpenAPI document; do not edit (`make docs`).*

`guardian serve` answers on port 8000: JSON, read-only. Try it at `/docs`; the document for machines
is at `/openapi.json` (OpenAPI 3.1).

- **Forms.** Money, ratios and means are decimal strings; ratios and means are rounded to 6 places.
  Instants are RFC 3339 in UTC with `Z`; an instant in a request may have any offset, or be a day.
  Days are UTC days, `YYYY-MM-DD`.
- **Errors** are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems
  (`application/problem+json`); a parameter that does not exist is an error too.
- **Pages.** Give `next_cursor` as `cursor`. A page goes on after the last row of the one before, so
  rows that arrive meanwhile neither repeat nor hide one.
- **Keeping.** Every answer has an `ETag`; `If-None-Match` gives 304. A day that is followed by a
  later computed one may be kept for five minutes: it only changes by late events.
- **Keys** are needed as soon as the API binds an address that others can reach:
  `Authorization: Bearer KEY`. `guardian keys create|list|revoke` manages them; a revoked key stops
  within {KEPT_SECONDS:g} s. While the database is away, where it would be revoked, a key that
  worked goes on for as long as answers are repeated. Each key has a rate of its own.
- **Busy, or without its database.** Past its connections and those who may wait for one, the API
  answers 503 with `Retry-After`; it never lets a caller hang. A question that it answered within
  the last {SPARE_SECONDS:g} s is answered by the same again, marked by `Age` and
  `Cache-Status: guardian; hit; ttl=-N; detail=stale`. Verdicts, decisions, status and health never
  are.
- **Raw and clean.** With `view=clean` a route tells its numbers without abusive sessions, in the
  same shape; with `view=delta`, clean minus raw, and for a day also what each rule takes off.
  `raw` is the default, and all that trending goes by.
- **Trending.** An item's `change_ratio` is its share of the day's clicks minus its share of the
  clicks of the 7 days before (those of them that are computed). Items that grew are listed, most
  growth first, equal ones in the bytewise order of their ids.
- **Stream.** Server-sent events `anomaly`, one for each new or changed anomaly, withdrawals
  included. `EventSource` resumes by itself with `Last-Event-ID`; ids grow with every change and
  none is passed over. A comment breaks the silence every 15 seconds.
"""


def render() -> str:
    """Markdown: how the API behaves, its routes, what they answer."""
    config = ApiConfig(ReaderConfig("postgresql+psycopg://reader@/guardian"))
    document = create_app(config).openapi()
    lines = [_HEAD, "## Problems", "", "| status | type |", "|---|---|"]
    lines += [f"| {code} | `urn:guardian:{_kebab(title)}` |" for code, title in TITLES.items()]
    lines.append("")
    for path, item in sorted(document["paths"].items()):
        lines += _route(path, item["get"])
    lines += ["# What is answered", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _model(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _route(path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## GET {path}", "", f"{operation['summary']}.")
    if operation["description"].rstrip(".") != operation["summary"]:
        yield from ("", operation["description"])
    yield from ("", f"Answers {_answer(operation)}.", "")
    if parameters := operation.get("parameters", []):
        yield from ("| parameter | in | values | meaning |", "|---|---|---|---|")
        for one in parameters:
            values = _values(one["schema"])
            yield f"| `{one['name']}` | {one['in']} | {values} | {one['description']} |"
        yield ""


def _answer(operation: Mapping[str, Any]) -> str:
    return " or ".join(
        _type(content["schema"])
        if {"$ref", "anyOf"} & content["schema"].keys()
        else f"`{media_type}`"
        for media_type, content in operation["responses"]["200"]["content"].items()
    )


def _model(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {name}", "", schema.get("description", ""), "")
    yield from ("| field | type | meaning |", "|---|---|---|")
    for field, kind in schema["properties"].items():
        yield f"| `{field}` | {_type(kind)} | {kind.get('description', '')} |"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object":
        return f"object of {_type(schema['additionalProperties'])}"
    return {"date": "day", "date-time": "instant"}.get(schema.get("format", ""), kind)


def _values(schema: Mapping[str, Any]) -> str:
    text = _type(schema)
    if "minimum" in schema:
        text = f"{schema['minimum']} to {schema['maximum']}"
    if "default" in schema:
        text += f"; default `{schema['default']}`"
    return text


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


def _kebab(title: str) -> str:
    return title.lower().replace(" ", "-")
