"""Verdicts on sessions, and the allow-list."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE session_verdicts (
    session_id text NOT NULL,
    verdict text NOT NULL,
    score double precision NOT NULL,
    rules jsonb NOT NULL,
    first_flagged_at timestamp with time zone,
    last_flagged_at timestamp with time zone,
    allowed_by text,
    revision bigint NOT NULL DEFAULT 1,
    updated_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT session_verdicts_pkey PRIMARY KEY (session_id),
    CONSTRAINT session_verdicts_verdict_known CHECK (verdict IN ('clean', 'suspect', 'abusive'))
);
CREATE INDEX session_verdicts_flagged ON session_verdicts (last_flagged_at DESC, session_id)
    WHERE verdict <> 'clean';
CREATE TABLE allow_list (
    kind text NOT NULL,
    value text NOT NULL,
    reason text NOT NULL,
    until_at timestamp with time zone,
    added_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT allow_list_pkey PRIMARY KEY (kind, value),
    CONSTRAINT allow_list_kind_known CHECK (kind IN ('session', 'item'))
);
"""

# a session without a verdict has no anomalies; those from before wait as clean to be judged anew
WAITING = """
INSERT INTO session_verdicts (session_id, verdict, score, rules, revision)
SELECT DISTINCT session_id, 'clean', 0, '[]'::jsonb, 0 FROM rule_sessions
"""


def upgrade() -> None:
    """Make both tables."""
    op.execute(TABLES)
    op.execute(WAITING)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE session_verdicts, allow_list")
