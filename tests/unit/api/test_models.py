"""The bodies, which the database writes, are what the models say."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.testclient import TestClient

from clickstream_guardian.api import deltas, models
from clickstream_guardian.store import Store, save_checkpoint
from clickstream_guardian.store.snapshots import LakeSnapshot, save_lake_snapshot
from tests.unit.api.metric_days import DAY, restate, write_category, write_days, write_delta
from tests.unit.api.test_anomalies import write
from tests.unit.api.test_status import finish
from tests.unit.store.samples import CHECKPOINT, START, anomaly, at

PATHS = {
    "/": "/",
    "/health": "/health",
    "/health/ready": "/health/ready",
    "/status": "/status",
    "/anomalies": "/anomalies?limit=2",
    "/anomalies/types": "/anomalies/types",
    "/anomalies/timeline": "/anomalies/timeline",
    "/anomalies/{session_id:path}": "/anomalies/42?limit=1",
    "/sessions/{session_id:path}": "/sessions/42",
    "/decisions": "/decisions",
    "/metrics/daily": "/metrics/daily",
    "/metrics/daily/{date}": "/metrics/daily/2014-04-07",
    "/metrics/funnel/{date}": "/metrics/funnel/2014-04-07",
    "/metrics/summary": "/metrics/summary",
    "/metrics/restatements": "/metrics/restatements",
    "/items/popular/{date}": "/items/popular/2014-04-07",
    "/items/categories/{date}": "/items/categories/2014-04-07",
    "/items/trending": "/items/trending",
}
VIEWS = {
    "/metrics/daily?view=clean": models.DailyMetricsPage,
    "/metrics/daily?view=delta": deltas.DailyDeltaPage,
    "/metrics/daily/2014-04-07?view=clean": models.DailyMetrics,
    "/metrics/daily/2014-04-07?view=delta": deltas.DailyDelta,
    "/metrics/funnel/2014-04-07?view=clean": models.Funnel,
    "/metrics/funnel/2014-04-07?view=delta": deltas.FunnelDelta,
    "/metrics/summary?view=clean": models.MetricsSummary,
    "/metrics/summary?view=delta": deltas.MetricsSummaryDelta,
    "/items/popular/2014-04-07?view=clean": deltas.CleanItems,
    "/items/popular/2014-04-07?view=delta": deltas.ItemsDelta,
    "/items/categories/2014-04-07?view=clean": models.Categories,
    "/items/categories/2014-04-07?view=delta": deltas.CategoriesDelta,
}
WITHOUT_MODEL = {"/metrics", "/anomalies/stream"}


def fill(store: Store) -> None:
    """Something for every route."""
    write(store, *(at(START + timedelta(seconds=10 * n), n) for n in range(4)))
    write(store, anomaly(9, rule="BOT_LIKE", status="open"))
    write_days(store, [{"a": (10, 0, "0"), "b": (5, 1, "3.20")}, {"b": (40, 2, "6.40")}])
    write_category(store, DAY, "S", 5, "1.00")
    write_delta(store, DAY, "BOT_LIKE", clicks=-30, item_id="b")
    restate(store, DAY, "rule_version", "events")
    finish(store)
    with store.begin() as connection:
        save_checkpoint(connection, CHECKPOINT, 0)
        save_lake_snapshot(connection, LakeSnapshot(12, 3, [DAY]))


def test_every_answer_fits_its_model_to_the_letter(client: TestClient, store: Store) -> None:
    """Its fields are those of the model, in the same order."""
    fill(store)
    told = {
        route.path: route.response_model
        for route in client.app.routes  # type: ignore[attr-defined]
        if isinstance(route, APIRoute) and route.include_in_schema
    }
    assert set(told) == {*PATHS, *WITHOUT_MODEL}
    for route, path in PATHS.items():
        fits(client, path, (get_args(told[route]) or (told[route],))[0])
    for path, model in VIEWS.items():
        (route,) = [name for name, plain in PATHS.items() if plain == path.partition("?")[0]]
        assert model in (get_args(told[route]) or (told[route],))
        fits(client, path, model)


def fits(client: TestClient, path: str, model: type[BaseModel]) -> None:
    assert issubclass(model, BaseModel)
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    read = model.model_validate_json(answer.content)
    assert model.model_validate_json(read.model_dump_json()) == read
    assert list(answer.json()) == list(model.model_fields), path


def test_every_field_says_what_it_means() -> None:
    for name, model in (vars(models) | vars(deltas)).items():
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or name == "BaseModel":
            continue
        assert model.__doc__, name
        for field_name, field in model.model_fields.items():
            holds_models = ".api." in str(field.annotation)
            assert field.description or holds_models, (name, field_name)
