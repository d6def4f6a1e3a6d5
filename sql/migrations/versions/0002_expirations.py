"""What retention has removed: from which table, up to which date, how many rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "expirations",
        sa.Column("pipeline", sa.String(length=63), nullable=False),
        sa.Column("table_name", sa.String(length=20), nullable=False),
        sa.Column("before", sa.Date(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "table_name", "before"),
    )


def downgrade() -> None:
    op.drop_table("expirations")
