"""Load test: users who read, wait a moment, and read again; over every read route.

With a page to look at: `locust -f scripts/load_test.py --host http://127.0.0.1:8000`. Headless with
200 users over a million anomalies: `make load`. Where keys are needed, set GUARDIAN_API_KEY.
"""

from __future__ import annotations

import os
import random
from urllib.parse import quote

from locust import FastHttpUser, between, task

CHANCE = random.Random()  # noqa: S311  (which request, not a secret)
RANKINGS = ("clicks", "purchases", "revenue")


class Reader(FastHttpUser):
    """A dashboard, an analyst, a script: each asks for something about once in 0.75 s."""

    wait_time = between(0.5, 1.0)

    def on_start(self) -> None:
        """Learn which days, sessions and rules there are."""
        if key := os.environ.get("GUARDIAN_API_KEY"):
            self.client.auth_header = f"Bearer {key}"
        days = self.client.get("/metrics/daily?limit=200", name="(start)").json()["days"]
        self.days = [day["dt"] for day in days] or ["2014-04-07"]
        found = self.client.get("/anomalies?limit=1000", name="(start)").json()["anomalies"]
        self.sessions = sorted({one["session_id"] for one in found}) or ["none"]
        self.rules = sorted({one["rule"] for one in found}) or ["HIGH_FREQUENCY"]

    @property
    def day(self) -> str:
        """Any day that there is."""
        return CHANCE.choice(self.days)

    @task
    def anomalies(self) -> None:
        """A page, and the next one."""
        path = f"/anomalies?until={self.day}"
        page = self.client.get(path, name="/anomalies").json()
        if page["next_cursor"]:
            following = f"{path}&cursor={page['next_cursor']}"
            self.client.get(following, name="/anomalies (next page)")

    @task
    def anomalies_of_a_rule(self) -> None:
        """One rule's, before some day."""
        path = f"/anomalies?rule={CHANCE.choice(self.rules)}&until={self.day}"
        self.client.get(path, name="/anomalies?rule")

    @task
    def types(self) -> None:
        """Totals per rule."""
        self.client.get("/anomalies/types")

    @task
    def timeline(self) -> None:
        """A day in five minutes."""
        self.client.get(f"/anomalies/timeline?as_of={self.day}", name="/anomalies/timeline")

    @task
    def session(self) -> None:
        """One session with its evidence."""
        session = quote(CHANCE.choice(self.sessions), safe="")
        self.client.get(f"/anomalies/{session}", name="/anomalies/{session_id}")

    @task
    def days_of_a_month(self) -> None:
        """A month of days."""
        self.client.get(f"/metrics/daily?end_date={self.day}", name="/metrics/daily")

    @task
    def one_day(self) -> None:
        """One day's numbers."""
        self.client.get(f"/metrics/daily/{self.day}", name="/metrics/daily/{date}")

    @task
    def funnel(self) -> None:
        """One day's funnel."""
        self.client.get(f"/metrics/funnel/{self.day}", name="/metrics/funnel/{date}")

    @task
    def summary(self) -> None:
        """The newest day beside others."""
        self.client.get("/metrics/summary")

    @task
    def popular(self) -> None:
        """Leading items."""
        path = f"/items/popular/{self.day}?by={CHANCE.choice(RANKINGS)}"
        self.client.get(path, name="/items/popular/{date}")

    @task
    def categories(self) -> None:
        """Leading categories."""
        self.client.get(f"/items/categories/{self.day}", name="/items/categories/{date}")

    @task
    def trending(self) -> None:
        """Items on the rise."""
        self.client.get(f"/items/trending?date={self.day}", name="/items/trending")

    @task
    def status(self) -> None:
        """How Guardian is doing."""
        self.client.get("/status")
