"""Runs the API: binds the port, says when it answers, stops cleanly on Ctrl-C."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.store.read import ReaderConfig

_LEAVE_SECONDS = 10
_START_SECONDS = 120.0

Started = Callable[[str], None]


def api_config(settings: Settings, reader_url: str) -> ApiConfig:
    """The API's configuration as the settings say, on the database of ``reader_url``."""
    return ApiConfig(
        ReaderConfig(reader_url, connections=settings.api_connections),
        host=settings.bind_host,
        port=settings.api_port,
        requests_per_second=settings.api_requests_per_second,
        burst=max(1, round(2 * settings.api_requests_per_second)),
        most_streams=settings.api_streams,
        decisions_enforced=settings.decisions_mode == "enforce",
        decision_seconds=settings.decision_seconds,
    )


def serve(config: ApiConfig, started: Started | None = None) -> None:
    """Serve until SIGINT or SIGTERM; returns when the last answer is out.

    Args:
        config: see ``ApiConfig``.
        started: called with the URL as soon as it answers.

    Raises:
        UsageError: the port cannot be bound.
    """
    with _bound(config) as listening:
        ApiServer(create_app(config), listening, started).run([listening])


@contextlib.contextmanager
def running(config: ApiConfig) -> Iterator[str]:
    """The API in a thread of its own, for as long as the ``with``: its URL.

    Raises:
        UsageError: the port cannot be bound.
        GuardianError: it does not come to answer.
    """
    answers = threading.Event()
    with _bound(config) as listening:
        server = ApiServer(create_app(config), listening, lambda _: answers.set())
        thread = threading.Thread(target=server.run, args=([listening],), name="api", daemon=True)
        thread.start()
        try:
            if not answers.wait(_START_SECONDS):
                raise GuardianError(
                    f"The API did not answer within {_START_SECONDS:.0f} s: see what it said above."
                )
            yield url_of(listening)
        finally:
            server.should_exit = True
            thread.join()


class ApiServer(uvicorn.Server):
    """uvicorn, ended by a signal without raising it again, so that the caller can tidy up."""

    def __init__(self, app: FastAPI, listening: socket.socket, started: Started | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                lifespan="on",
                timeout_graceful_shutdown=_LEAVE_SECONDS,
                timeout_keep_alive=30,
            )
        )
        self._app = app
        self._listening = listening
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell who waits for it."""
        await super().startup(sockets)
        if self._tell is not None and self.started:
            self._tell(url_of(self._listening))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which would not end by themselves, then everything."""
        self._app.state.context.feed.stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to stop, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop; at the second Ctrl-C without waiting for answers that are on their way."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def url_of(listening: socket.socket) -> str:
    """The address of a bound socket for a client on this machine."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{address}:{port}" if address.version == 4 else f"http://[{address}]:{port}"


@contextlib.contextmanager
def _bound(config: ApiConfig) -> Iterator[socket.socket]:
    """The listening socket."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listening = socket.create_server((config.host, config.port), family=family, backlog=1024)
    except OSError as error:
        raise UsageError(
            f"The API cannot listen on {config.host}:{config.port} ({error.strerror}): "
            "stop what does, or set GUARDIAN_API_PORT to another port."
        ) from error
    with listening:
        yield listening
