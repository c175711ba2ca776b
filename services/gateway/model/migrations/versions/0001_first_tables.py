"""Positions, announcements, windows, and what participants were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes them."""
    op.create_table(
        "positions",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "announcements",
        sa.Column("release_id", sa.String, primary_key=True),
        sa.Column("lab", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "windows",
        sa.Column("release_id", sa.String, primary_key=True),
        sa.Column("lab", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "edge_events",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("release_id", sa.String),
        sa.Column("event_id", sa.String),
        sa.Column("appended_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    for name, column in (("release", "release_id"), ("event", "event_id"), ("id", "id"), ("time", "appended_ms")):
        op.create_index(f"edge_events_by_{name}", "edge_events", ["topic", column])


def downgrade() -> None:
    """Drops them: everything can be projected anew."""
    for table in ("edge_events", "windows", "announcements", "positions"):
        op.drop_table(table)
