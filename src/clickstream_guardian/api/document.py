"""The OpenAPI document: every error an operation can answer is declared, as problem JSON."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.gate import OPEN_PATHS
from clickstream_guardian.api.models import Problem, ProblemField
from clickstream_guardian.api.problems import MEDIA_TYPE

_MEANINGS = {
    401: "No working API key was sent.",
    404: "There is nothing of that name.",
    422: "A parameter does not fit.",
    429: "The key sends too many requests.",
    500: "Something went wrong on our side.",
    503: "The database is busy or away.",
}
_RETRY = {
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_FOUND_BY_NAME = ("{session_id}", "{date}")
_FOUND_BY_NAME_TOO = ("/items/trending",)
_WITHOUT_DATABASE = ("/", "/health", "/metrics")


def describe(app: FastAPI, config: ApiConfig) -> dict[str, Any]:
    """The document of an application, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for model in (Problem, ProblemField):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        for path, item in document["paths"].items():
            for operation in item.values():
                _tell_parameters(operation)
                _tell_summary(operation)
                _declare_errors(path, operation, config)
        if config.keys_required:
            document["components"]["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key."}
            }
        app.openapi_schema = document
    return app.openapi_schema


def _tell_parameters(operation: dict[str, Any]) -> None:
    """A parameter is left out, never null; headers have the names that people know."""
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
        if len(kinds) == 1:
            schema.pop("anyOf")
            schema.update(kinds[0])
        elif kinds:
            schema["anyOf"] = kinds
        schema.pop("title", None)
        parameter["description"] = schema.pop("description", parameter.get("description"))
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title().replace("-Id", "-ID")


def _tell_summary(operation: dict[str, Any]) -> None:
    """The first sentence is the summary; the rest, if any, the description."""
    first, _, rest = operation.get("description", "").partition("\n")
    operation["summary"] = first.removesuffix(".")
    operation["description"] = rest.strip() or first


def _declare_errors(path: str, operation: dict[str, Any], config: ApiConfig) -> None:
    needs_key = config.keys_required and path not in OPEN_PATHS
    statuses = [422, 500]
    if path not in _WITHOUT_DATABASE or needs_key:
        statuses.append(503)
    if any(part in path for part in _FOUND_BY_NAME) or path in _FOUND_BY_NAME_TOO:
        statuses.append(404)
    if needs_key:
        statuses += [401, 429]
        operation["security"] = [{"key": []}]
    for status in sorted(statuses):
        operation["responses"][str(status)] = _response(status)


def _response(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    response: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if status in (429, 503):
        response["headers"] = _RETRY
    return response
