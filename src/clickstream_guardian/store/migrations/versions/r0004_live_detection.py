"""Several groups detect at a time: a row knows the group that said it, a checkpoint its windows."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; what is there has no group of its own."""
    op.execute("ALTER TABLE anomaly_sessions ADD COLUMN detected_by text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE detector_checkpoints ADD COLUMN longest_us bigint NOT NULL DEFAULT 0")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE detector_checkpoints DROP COLUMN longest_us")
    op.execute("ALTER TABLE anomaly_sessions DROP COLUMN detected_by")
