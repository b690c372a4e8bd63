"""The dashboard's own process: reads its orders, serves the pages, ends with its standard input."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TextIO

from clickstream_guardian.dashboard.connection import connect

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Orders:
    """What the starter asks for (see ``server.start``)."""

    api_url: str
    port: int
    host: str
    api_key: str | None
    refresh_seconds: float


def main() -> None:
    """Serve until the standard input closes or a signal comes."""
    out = _take_output()
    orders = Orders(**json.loads(sys.stdin.readline()))
    if problem := _not_startable(orders):
        _say(out, {"error": problem})
        return
    _warm_up()
    connect(orders.api_url, orders.api_key, orders.refresh_seconds)
    _serve(orders, out)


def _serve(orders: Orders, out: TextIO) -> None:
    import streamlit as st
    from streamlit import config

    from clickstream_guardian.dashboard.frame import middleware, routes

    @contextlib.asynccontextmanager
    async def life(_app: st.App) -> AsyncIterator[None]:
        _say(out, {"port": config.get_option("server.port")})
        threading.Thread(target=_end_with_input, daemon=True).start()
        yield

    app = st.App(
        HERE / "app.py",
        lifespan=life,
        routes=routes(),
        middleware=middleware(),
        on_script_error=_report,
    )
    app.run(
        config={
            "server.address": orders.host,
            "server.port": orders.port,
            "server.allowedHosts": ["localhost", orders.host],
            "browser.gatherUsageStats": False,
        }
    )


def _report(error: Exception) -> None:
    logging.getLogger(__name__).error("The dashboard's script failed.", exc_info=error)


def _take_output() -> TextIO:
    """Our answer goes to the starter's pipe; whatever else is printed goes nowhere."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return ours


def _say(out: TextIO, answer: dict[str, object]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


def _not_startable(orders: Orders) -> str | None:
    try:
        import_module("streamlit")
        import_module("altair")
    except ModuleNotFoundError as error:
        return (
            f"The dashboard needs the package {error.name}: "
            "pip install 'clickstream-guardian[dashboard]'."
        )
    family = socket.AF_INET6 if ":" in orders.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((orders.host, orders.port))
        except OSError as error:
            return (
                f"The dashboard cannot bind {orders.host}:{orders.port} ({error.strerror}): "
                "stop what uses the port, or give another."
            )
    return None


def _warm_up() -> None:
    """Import what the first page would wait for; threads that import at once trip one another."""
    for name in ("pandas", "pyarrow", "altair", "clickstream_guardian.dashboard.layout"):
        import_module(name)


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
