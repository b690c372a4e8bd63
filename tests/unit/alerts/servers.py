"""A webhook and a mail server on this machine that refuse on purpose."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Inbox:
    """What came, and how often it is refused before.

    Attributes:
        refusals: so many messages are refused first.
        asked: messages that came, refused ones too.
        taken: those that were taken.
    """

    url: str = ""
    refusals: int = 0
    asked: int = 0
    taken: list[str] = field(default_factory=list)

    def accepts(self) -> bool:
        self.asked += 1
        return self.asked > self.refusals


@contextmanager
def webhook(refusals: int = 0) -> Iterator[Inbox]:
    inbox = Inbox(refusals=refusals)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            accepted = inbox.accepts()
            if accepted:
                inbox.taken.append(json.loads(body)["title"])
            self.send_response(200 if accepted else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    inbox.url = f"json://127.0.0.1:{server.server_port}/hook"
    yield inbox
    server.shutdown()
    server.server_close()


@contextmanager
def mail_server(refusals: int = 0) -> Iterator[Inbox]:
    inbox = Inbox(refusals=refusals)

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            if not inbox.accepts():
                return "451 try again later"
            inbox.taken.append(envelope.content.decode())
            return "250 taken"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    people = "from=guardian@example.com&to=oncall@example.com"
    inbox.url = f"mailto://127.0.0.1:{port}/?{people}&mode=insecure&smtp=127.0.0.1"
    yield inbox
    controller.stop()
