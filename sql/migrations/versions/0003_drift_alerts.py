"""Alerts, what a check meant for them, and whether its drift does harm."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_alerts",
        sa.Column("id", sa.String(length=150), nullable=False),
        sa.Column("pipeline", sa.String(length=63), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("clean", sa.Integer(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("drift_alerts_by_pipeline", "drift_alerts", ["pipeline", "opened_at"])
    op.add_column("drift_checks", sa.Column("harm", sa.String(length=10), nullable=True))
    op.add_column("drift_checks", sa.Column("decay", sa.JSON(), nullable=True))
    op.add_column("drift_checks", sa.Column("alert_id", sa.String(length=150), nullable=True))
    op.add_column("drift_checks", sa.Column("notice", sa.String(length=10), nullable=False, server_default="none"))


def downgrade() -> None:
    for column in ("harm", "decay", "alert_id", "notice"):
        op.drop_column("drift_checks", column)
    op.drop_table("drift_alerts")
