"""Which changes are of the running day alone."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("facility", sa.Column("past_change", sa.BigInteger(), server_default="0", nullable=False))
