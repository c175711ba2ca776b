"""What became of each release, event by event, for the operators' page."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TOPICS = ("announcements", "windows", "acknowledgements", "deliveries", "delivery-outcomes")
_TABLES = ("announcements", "windows", "answers", "deliveries", "delivery_outcomes")


def upgrade() -> None:
    """Makes the table and columns, and has what they come from projected anew. What participants were sent stays."""
    _begin_anew()
    op.create_table(
        "events",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("release_id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("appended_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("events_by_release", "events", ["release_id"])
    op.create_index("edge_events_of_release", "edge_events", ["release_id"])
    with op.batch_alter_table("windows") as table:
        table.add_column(sa.Column("exercise", sa.Boolean, nullable=False))
        table.add_column(sa.Column("changed_ms", sa.BigInteger, nullable=False))
        table.create_index("windows_by_status", ["status", "changed_ms"])
    with op.batch_alter_table("deliveries") as table:
        table.add_column(sa.Column("release_id", sa.String, nullable=False))
        table.create_index("deliveries_by_age", ["first_ms", "delivery_id"])
        table.create_index("deliveries_of_release", ["release_id"])


def downgrade() -> None:
    """Drops them; the rest is projected anew."""
    _begin_anew()
    op.drop_table("events")
    op.drop_index("edge_events_of_release", "edge_events")
    with op.batch_alter_table("windows") as table:
        table.drop_index("windows_by_status")
        table.drop_column("exercise")
        table.drop_column("changed_ms")
    with op.batch_alter_table("deliveries") as table:
        table.drop_index("deliveries_by_age")
        table.drop_index("deliveries_of_release")
        table.drop_column("release_id")


def _begin_anew() -> None:
    positions = sa.table("positions", sa.column("topic", sa.String))
    op.execute(positions.delete().where(positions.c.topic.in_(_TOPICS)))
    for name in _TABLES:
        op.execute(sa.table(name).delete())
