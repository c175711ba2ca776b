"""What agencies have answered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the table; it is projected from the beginning."""
    op.create_table(
        "answers",
        sa.Column("release_id", sa.String, primary_key=True),
        sa.Column("agency", sa.String, primary_key=True),
        sa.Column("life", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("disposition", sa.String, primary_key=True),
        sa.Column("recorded_at", sa.String, nullable=False),
    )


def downgrade() -> None:
    """Drops it: it can be projected anew."""
    op.drop_table("answers")
