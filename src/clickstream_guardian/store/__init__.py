"""PostgreSQL: the embedded server, tables, migrations, idempotent upserts. Holds no raw events."""

from clickstream_guardian.store.anomalies import (
    UpsertCounts,
    upsert_anomalies,
    withdraw_forgotten,
)
from clickstream_guardian.store.checkpoints import (
    Checkpoint,
    CheckpointConflictError,
    Position,
    claim_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from clickstream_guardian.store.database import Store, open_store
from clickstream_guardian.store.metric_rows import replace_days, stored_source_rows
from clickstream_guardian.store.sources import (
    SourceRecord,
    begin_source,
    finish_source,
    get_source,
    list_sources,
    reopen_source,
)

__all__ = [
    "Checkpoint",
    "CheckpointConflictError",
    "Position",
    "SourceRecord",
    "Store",
    "UpsertCounts",
    "begin_source",
    "claim_checkpoint",
    "finish_source",
    "get_source",
    "list_sources",
    "load_checkpoint",
    "open_store",
    "reopen_source",
    "replace_days",
    "save_checkpoint",
    "stored_source_rows",
    "upsert_anomalies",
    "withdraw_forgotten",
]
