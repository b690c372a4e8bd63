"""The versions of the rules under which a day's clean numbers were made."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

DAY_RULES = """
CREATE TABLE day_rules (
    dt date NOT NULL,
    versions jsonb NOT NULL,
    CONSTRAINT day_rules_pkey PRIMARY KEY (dt)
);
"""


def upgrade() -> None:
    """Make the table; days from before learn their versions when they are computed again."""
    op.execute(DAY_RULES)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE day_rules")
