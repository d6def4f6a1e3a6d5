"""What a drift check found on several features together."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("drift_checks", sa.Column("joint", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("drift_checks", "joint")
