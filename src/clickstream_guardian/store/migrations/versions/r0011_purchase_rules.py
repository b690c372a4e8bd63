"""A checkpoint of its own for each kind of event, where both were judged by one detector."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

APART = """
INSERT INTO detector_checkpoints
    (group_name, rules_fingerprint, lateness_us, closed_until, generation, longest_us)
SELECT group_name || '\\:purchase', '', lateness_us, closed_until, generation, longest_us
FROM detector_checkpoints WHERE group_name LIKE 'kafka\\:%';

UPDATE detector_positions SET group_name = group_name || '\\:purchase'
WHERE group_name LIKE 'kafka\\:%' AND source = 'purchases.v1';
"""
TOGETHER = """
DELETE FROM detector_checkpoints WHERE group_name LIKE '%\\:purchase';

UPDATE detector_positions SET group_name = left(group_name, -length('\\:purchase'))
WHERE group_name LIKE 'kafka\\:%\\:purchase';
"""


def upgrade() -> None:
    """Live groups go on where they stand; a replay under way judges its purchases anew."""
    op.execute(APART)


def downgrade() -> None:
    """Together again; what purchases broke stays said."""
    op.execute(TOGETHER)
