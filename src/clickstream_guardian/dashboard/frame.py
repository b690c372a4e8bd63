"""What lies around the pages: the HTML document they load into, the icon, security headers."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = Path(__file__).parent
LOGO = HERE / "assets" / "logo.svg"

PATHS = ("/", "/anomalies", "/session", "/daily", "/funnel", "/items", "/operations")
"""Address of each page."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' ws: wss:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def routes() -> list[Route]:
    """The document at the address of every page, and the icon."""
    document = _document()

    def page(_request: Request) -> Response:
        return HTMLResponse(document, headers={"Cache-Control": "no-cache"})

    def icon(_request: Request) -> Response:
        return FileResponse(LOGO, media_type="image/svg+xml")

    return [*(Route(path, page) for path in PATHS), Route("/guardian.svg", icon)]


def middleware() -> list[Middleware]:
    """What every answer passes through."""
    return [Middleware(SecurityHeaders)]


class SecurityHeaders:
    """Adds the security headers to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _document() -> str:
    """Streamlit's document with our name, icon and the choice of dark or light."""
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    script = (HERE / "assets" / "frame.js").read_text("utf-8")
    style = (HERE / "assets" / "loading.css").read_text("utf-8")
    html = html.replace("<title>Streamlit</title>", "<title>Clickstream Guardian</title>")
    html = re.sub(
        r'<link rel="shortcut icon"[^>]*>', '<link rel="icon" href="./guardian.svg">', html
    )
    return html.replace("</head>", f"<style>{style}</style><script>{script}</script></head>")
