"""An index by which the jobs that ended long ago are found."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make it."""
    ended = sa.text("rank = 2")
    op.create_index("ix_jobs_ended", "jobs", ["event_at"], sqlite_where=ended, postgresql_where=ended)
