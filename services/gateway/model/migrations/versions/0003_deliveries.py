"""What was to be delivered on push endpoints, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the tables; they are projected from the beginning."""
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.String, primary_key=True),
        sa.Column("agency", sa.String, nullable=False),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("first_ms", sa.BigInteger),
        sa.Column("requested_ms", sa.BigInteger),
        sa.Column("request", sa.Text),
        sa.Column("settled_ms", sa.BigInteger),
        sa.Column("standing", sa.String),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last", sa.Text),
    )
    op.create_index("deliveries_by_time", "deliveries", ["agency", "first_ms", "delivery_id"])
    op.create_table(
        "delivery_outcomes",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("delivery_id", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("delivery_outcomes_by_delivery", "delivery_outcomes", ["delivery_id"])


def downgrade() -> None:
    """Drops them: they can be projected anew."""
    for table in ("delivery_outcomes", "deliveries"):
        op.drop_table(table)
