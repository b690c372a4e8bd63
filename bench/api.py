"""The API's capacity: the highest constant rate that holds p95 under 100 ms on this machine.

Run: `python bench/api.py [--home DIR] [--seconds 20] [--rates 400,800,1200]`. The database holds a
million anomalies and 183 days; PostgreSQL, API and load generator share the cores. Requests go
over every read route with values that change, are sent on a timetable whether or not answers have
come (an answer's time counts from when its request was due), ask for no compression and carry no
ETag, so each is computed anew.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import uvloop

from bench.machine import write
from bench.serving import FIRST_DAY, RICH_SESSIONS, Size, fill
from clickstream_guardian.settings import Settings
from clickstream_guardian.store import open_store

SIZE = Size()
CONNECTIONS = 64
P95_SECONDS = 0.1
PROGRAM = """
import sys
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.server import serve
from clickstream_guardian.store.read import ReaderConfig
serve(ApiConfig(ReaderConfig(sys.argv[1]), port=0), lambda url: print(url, flush=True))
"""


@dataclass(frozen=True)
class Measured:
    """One rate, held for a while; times in milliseconds, processor time per answer."""

    rate: float
    answered_per_second: float
    p50: float
    p95: float
    p99: float
    longest: float
    problems: int
    bytes_per_answer: int
    api_cpu: float
    database_cpu: float
    generator_cpu: float

    @property
    def holds(self) -> bool:
        """Whether the rate was kept, without a problem and in time."""
        in_time = self.p95 < P95_SECONDS * 1000
        return in_time and not self.problems and self.answered_per_second > 0.98 * self.rate


def paths(count: int, seed: int = 1) -> list[str]:
    """Requests over every read route, each as often as the others."""
    chance = random.Random(seed)

    def day() -> str:
        return str(FIRST_DAY + timedelta(days=chance.randrange(10, SIZE.days)))

    def at() -> str:
        return f"{day()}T{chance.randrange(24):02}:{chance.randrange(60):02}:00Z"

    made: dict[str, Callable[[], str]] = {
        "/anomalies": lambda: f"/anomalies?until={at()}",
        "/anomalies by rule": lambda: f"/anomalies?rule=BOT_LIKE&until={at()}",
        "/anomalies by severity": lambda: f"/anomalies?severity=high&since={day()}",
        "/anomalies/types": lambda: "/anomalies/types",
        "/anomalies/timeline": lambda: f"/anomalies/timeline?as_of={at()}",
        "/anomalies/{session}": lambda: f"/anomalies/{1_000_000 + chance.randrange(RICH_SESSIONS)}",
        "/metrics/daily": lambda: f"/metrics/daily?end_date={day()}",
        "/metrics/daily/{date}": lambda: f"/metrics/daily/{day()}",
        "/metrics/funnel/{date}": lambda: f"/metrics/funnel/{day()}",
        "/metrics/summary": lambda: f"/metrics/summary?days={chance.randint(7, 90)}",
        "/items/popular/{date}": lambda: (
            f"/items/popular/{day()}?by={chance.choice(('clicks', 'purchases', 'revenue'))}"
        ),
        "/items/categories/{date}": lambda: f"/items/categories/{day()}",
        "/items/trending": lambda: f"/items/trending?date={day()}",
        "/status": lambda: "/status",
    }
    kinds = list(made)
    return [made[kinds[n % len(kinds)]]() for n in range(count)]


class Connection(asyncio.Protocol):
    """One keep-alive connection that asks one thing at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._got = b""
        self._wanted = 0
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due at a moment of the clock."""
        self._due = due
        self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Answers have a Content-Length; nothing else is understood."""
        self._got += data
        if not self._wanted:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return
            fields = self._got[:head].lower()
            at = fields.index(b"content-length:") + 15
            self._wanted = head + 4 + int(fields[at:].split(b"\r\n", 1)[0])
        if len(self._got) >= self._wanted:
            status, size = int(self._got[9:12]), self._wanted
            self._got, self._wanted = b"", 0
            self._load.answered(self, self._due, status, size)


class Load:
    """Sends requests on a timetable over a fixed number of connections."""

    def __init__(self, requests: Sequence[bytes], rate: float, seconds: float) -> None:
        self._requests = requests
        self._rate = rate
        self._count = round(rate * seconds)
        self._idle: list[Connection] = []
        self._queue: deque[tuple[bytes, float]] = deque()
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.bytes = 0

    def answered(self, connection: Connection, due: float, status: int, size: int) -> None:
        """Note an answer; its connection goes on with what waits."""
        self.seconds.append(time.perf_counter() - due)
        self.statuses[status] += 1
        self.bytes += size
        if self._queue:
            connection.ask(*self._queue.popleft())
        else:
            self._idle.append(connection)

    async def run(self, port: int) -> float:
        """Send everything; the seconds until the last answer."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, made = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._idle.append(made)
        began, sent = time.perf_counter(), 0
        while sent < self._count:
            while sent < self._count and began + sent / self._rate <= time.perf_counter():
                request, due = self._requests[sent % len(self._requests)], began + sent / self._rate
                sent += 1
                if self._idle:
                    self._idle.pop().ask(request, due)
                else:
                    self._queue.append((request, due))
            await asyncio.sleep(0.001)
        give_up = time.perf_counter() + 10
        while len(self.seconds) < self._count and time.perf_counter() < give_up:
            await asyncio.sleep(0.005)
        return time.perf_counter() - began


class Processors:
    """Processor time of the API, of PostgreSQL and of this process, since it was made."""

    def __init__(self, api: psutil.Process) -> None:
        self._api = api
        self._began = self._now()

    def used(self) -> tuple[float, float, float]:
        """Seconds of each."""
        return tuple(now - then for now, then in zip(self._now(), self._began, strict=True))  # type: ignore[return-value]

    def _now(self) -> tuple[float, float, float]:
        servers = 0.0
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith("postgres: guardian_reader"):
                    servers += sum(process.cpu_times()[:2])
        mine = psutil.Process()
        return sum(self._api.cpu_times()[:2]), servers, sum(mine.cpu_times()[:2])


def hold(url: str, api: psutil.Process, rate: float, seconds: float) -> Measured:
    """Hold a rate for some seconds."""
    port = int(url.rpartition(":")[2])
    asked = [f"GET {path} HTTP/1.1\r\nHost: api\r\n\r\n".encode() for path in paths(2800)]
    load = Load(asked, rate, seconds)
    used = Processors(api)
    gc.collect()
    took = uvloop.run(load.run(port))
    api_cpu, database_cpu, generator_cpu = used.used()
    found = sorted(load.seconds)
    count = max(1, len(found))

    def at(share: float) -> float:
        return round(found[int(len(found) * share)] * 1000, 1)

    return Measured(
        rate,
        round(len(found) / took, 1),
        p50=at(0.5),
        p95=at(0.95),
        p99=at(0.99),
        longest=round(found[-1] * 1000, 1),
        problems=round(rate * seconds) - load.statuses[200],
        bytes_per_answer=load.bytes // count,
        api_cpu=round(api_cpu / count * 1000, 3),
        database_cpu=round(database_cpu / count * 1000, 3),
        generator_cpu=round(generator_cpu / count * 1000, 3),
    )


def highest(url: str, api: psutil.Process, seconds: float) -> Iterator[Measured]:
    """Rates that close in on the highest one that holds, to 5 %."""
    low, high = 0.0, 0.0
    rate = 400.0
    while not high or high - low > 0.05 * low:
        found = hold(url, api, rate, seconds)
        yield found
        if found.holds:
            low = rate
        else:
            high = rate
        rate = (low + high) / 2 if high else rate * 1.5
        time.sleep(2)


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A filled database and the API over it, in processes of their own."""
    with open_store(Settings(home=home)) as store:
        url = store.catalog_uri.replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT sum(anomaly_count) FROM rule_totals").fetchone()
        if not found or not found[0] or found[0] < 0.99 * SIZE.anomalies:
            print(f"filling {home}", file=sys.stderr)
            fill(url, SIZE)
        command = [sys.executable, "-c", PROGRAM, store.reader_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as api:
            assert api.stdout is not None
            try:
                yield api.stdout.readline().strip(), psutil.Process(api.pid)
            finally:
                api.terminate()


def main() -> None:
    """Measure, print, keep."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--home", type=Path, help="keep the filled database here")
    options.add_argument("--seconds", type=float, default=20.0, help="how long each rate is held")
    options.add_argument("--rates", help="these rates instead of a search, by commas")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="gb-", dir="/tmp") as temporary:
        home = (asked.home or Path(temporary)).resolve()
        home.chmod(0o755)
        with serving(home) as (url, api):
            hold(url, api, 200, 5)
            if asked.rates:
                rates = map(float, asked.rates.split(","))
                found: list[Measured] = [hold(url, api, rate, asked.seconds) for rate in rates]
            else:
                found = list(highest(url, api, asked.seconds))
    write("api", _result(found))


def _result(found: Sequence[Measured]) -> dict[str, Any]:
    held = [one.rate for one in found if one.holds]
    return {
        "anomalies": SIZE.anomalies,
        "days": SIZE.days,
        "connections": CONNECTIONS,
        "highest_rate_held": max(held, default=None),
        "rates": [asdict(one) | {"holds": one.holds} for one in found],
    }


if __name__ == "__main__":
    main()
