"""The pages for people: the welcome, and Swagger UI from our own files, so it works offline."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from clickstream_guardian import __version__
from clickstream_guardian.api import models
from clickstream_guardian.api.answers import json_answer
from clickstream_guardian.api.parameters import NoParameters
from clickstream_guardian.api.problems import not_found

router = APIRouter()

_WELCOME = {
    "name": "Clickstream Guardian",
    "version": __version__,
    "links": {
        "documentation": "/docs",
        "openapi": "/openapi.json",
        "ready": "/health/ready",
        "status": "/status",
        "anomalies": "/anomalies",
        "daily_metrics": "/metrics/daily",
    },
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Clickstream Guardian API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: true,
});
"""
_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript",
}


@router.get("/", response_model=models.Welcome, tags=["status"])
async def welcome(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
    """Where to go from here."""
    return json_answer(request, json.dumps(_WELCOME).encode(), spared=False)


@router.get("/docs", include_in_schema=False)
async def documentation() -> Response:
    """Swagger UI."""
    return Response(_PAGE, media_type="text/html; charset=utf-8")


@router.get("/docs/{name}", include_in_schema=False)
async def documentation_file(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in _FILES:
        raise not_found(f"Nothing is at /docs/{name}; the documentation is at /docs.")
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(_file(name), headers=headers, media_type=_FILES[name])


@cache
def _file(name: str) -> bytes:
    if name == "start.js":
        return _START.encode()
    return (resources.files("fastapi_swagger") / "resources" / name).read_bytes()
