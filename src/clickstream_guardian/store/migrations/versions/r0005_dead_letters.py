"""Decisions on dead letters; what reading a source found, so that a line can be read again."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

DECISIONS = """
CREATE TABLE dead_letter_decisions (
    source text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    decision text NOT NULL,
    kind text NOT NULL,
    retry_offset bigint,
    replacement text,
    decided_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT dead_letter_decisions_pkey PRIMARY KEY (source, partition, "offset"),
    CONSTRAINT dead_letter_decisions_retry_offset_key UNIQUE (retry_offset),
    CONSTRAINT dead_letter_decisions_decision_known CHECK (decision IN ('retried', 'dropped'))
)
"""


def upgrade() -> None:
    """Make the table; sources read before know neither their columns nor their hours."""
    op.execute(DECISIONS)
    op.execute("ALTER TABLE sources ADD COLUMN line_columns jsonb, ADD COLUMN events_by_hour jsonb")


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE dead_letter_decisions")
    op.execute("ALTER TABLE sources DROP COLUMN line_columns, DROP COLUMN events_by_hour")
