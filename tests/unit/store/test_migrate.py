"""The migrated database is what the metadata and the metrics' row shapes say."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.metrics.loader import load_metrics, load_serving_views
from clickstream_guardian.store import migrate as migrations
from clickstream_guardian.store.checkpoints import (
    Checkpoint,
    Position,
    load_checkpoint,
    save_checkpoint,
)
from clickstream_guardian.store.database import Store
from clickstream_guardian.store.metric_tables import clean_views, metric_tables
from clickstream_guardian.store.migrate import HEAD, current_revision, migrate
from clickstream_guardian.store.migrations.versions.r0011_purchase_rules import APART, TOGETHER
from clickstream_guardian.store.tables import (
    CLEAN_VIEWS,
    METRIC_TABLES,
    METRIC_VIEWS,
    SERVING_TABLES,
    metadata,
)

DAY = datetime(2014, 4, 7, tzinfo=UTC)
SHAPE = """
    SELECT c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod),
           a.attnotnull, a.attstorage::text, a.attgenerated::text,
           pg_get_expr(d.adbin, d.adrelid), pg_get_partkeydef(c.oid),
           CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
      AND c.relname <> 'alembic_version'
    ORDER BY c.relname, a.attname
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'al%'"
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
      AND conrelid <> 'alembic_version'::regclass
"""


def shape(connection: Connection) -> list[list[tuple[object, ...]]]:
    return [
        sorted((tuple(row) for row in connection.execute(text(query))), key=str)
        for query in (SHAPE, INDEXES, CONSTRAINTS)
    ]


def test_migrated_database_equals_the_metadata(store: Store) -> None:
    metric_tables()
    with store.begin() as connection:
        migrated = shape(connection)
        _drop_everything(connection)
        metadata.create_all(connection)
        for view in load_serving_views():
            connection.execute(text(f"CREATE VIEW {view.name} AS {view.sql}"))
        for name, select in clean_views().items():
            connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")
        for made, wanted in zip(shape(connection), migrated, strict=True):
            assert [row for row in made if row not in wanted] == []
            assert [row for row in wanted if row not in made] == []


def _drop_everything(connection: Connection) -> None:
    for view in (*reversed(CLEAN_VIEWS), *METRIC_VIEWS):
        connection.execute(text(f"DROP VIEW {view}"))
    metadata.drop_all(connection)


def test_alembic_finds_no_difference(store: Store) -> None:
    metric_tables()
    with store.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_head_is_the_newest_file() -> None:
    folder = Path(migrations.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_serving_tables_hold_every_metric_and_view() -> None:
    assert sorted(METRIC_TABLES) == sorted(metric.name for metric in load_metrics())
    assert sorted(METRIC_VIEWS) == sorted(view.name for view in load_serving_views())
    assert list(CLEAN_VIEWS) == list(clean_views())
    assert set(SERVING_TABLES) >= {*METRIC_TABLES, *METRIC_VIEWS}


def test_migrating_at_once_migrates_once(store: Store) -> None:
    with store.begin() as connection:
        _drop_everything(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(store.engine)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with store.begin() as connection:
        assert current_revision(connection) == HEAD


def test_a_live_group_goes_on_where_both_kinds_stood(store: Store) -> None:
    with store.begin() as connection:
        checkpoint = Checkpoint(
            "kafka:g:0", "f", 10, DAY, 5, (_position("clicks.v1"), _position("purchases.v1")), 600
        )
        save_checkpoint(connection, checkpoint, 0)
        for statement in (TOGETHER, APART):
            connection.execute(text(statement))
        clicks = load_checkpoint(connection, "kafka:g:0")
        purchases = load_checkpoint(connection, "kafka:g:0:purchase")
    assert clicks is not None
    assert purchases is not None
    assert clicks.positions == (_position("clicks.v1"),)
    assert purchases.positions == (_position("purchases.v1"),)
    assert (purchases.closed_until, purchases.longest_us) == (DAY, 600)
    assert purchases.rules_fingerprint != clicks.rules_fingerprint


def _position(source: str) -> Position:
    return Position(source, 0, 100, 90, DAY, 3, ended=False)


def test_a_newer_database_is_refused_with_the_remedy(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(GuardianError, match=r"'9999'.*upgrade clickstream-guardian"):
        migrate(store.engine)
