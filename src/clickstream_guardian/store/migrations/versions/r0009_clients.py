"""An allow-list of users and networks: who flagged sessions come from."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

CLIENTS = """
CREATE TABLE session_clients (
    session_id text NOT NULL,
    users jsonb NOT NULL,
    addresses jsonb NOT NULL,
    flagged_at timestamp with time zone,
    CONSTRAINT session_clients_pkey PRIMARY KEY (session_id)
);
"""
KINDS = """
ALTER TABLE allow_list DROP CONSTRAINT allow_list_kind_known;
ALTER TABLE allow_list ADD CONSTRAINT allow_list_kind_known CHECK (kind IN ({kinds}));
"""


def upgrade() -> None:
    """Make the table; let entries be of all kinds."""
    op.execute(CLIENTS)
    op.execute(KINDS.format(kinds="'session', 'item', 'user', 'network'"))


def downgrade() -> None:
    """Remove it, and the entries that want it."""
    op.execute("DELETE FROM allow_list WHERE kind IN ('user', 'network')")
    op.execute(KINDS.format(kinds="'session', 'item'"))
    op.execute("DROP TABLE session_clients")
