"""The tables. Migrations beside it make them; a test compares the two.

Times are Unix seconds in UTC: the same in both databases, and what a test's clock gives.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("job_id", String(128), primary_key=True),
    Column("state", String(16), nullable=False),
    # Order of events: the state's rank, then the event's time, then its id, by its bytes. A row only ever moves up.
    Column("rank", Integer, nullable=False),
    Column("event_at", Double, nullable=False),
    Column("event_id", String(256).with_variant(String(256, collation="C"), "postgresql"), nullable=False),
    Column("labels", JSON(none_as_null=True)),
    # Result, failure or progress, as the event says it.
    Column("detail", JSON(none_as_null=True)),
    # Of the request; both are unknown while only later events have been seen.
    Column("created_at", Double),
    Column("webhook", JSON(none_as_null=True)),
    # When the next progress call is due: only of a running job that asked for mode `sync`.
    Column("tell_at", Double),
    Column("told_at", Double),
    Column("told", Integer, nullable=False, server_default=text("0")),
    # The event that the last call told of.
    Column("told_event", String(256)),
    Index(
        "ix_jobs_tell_at",
        "tell_at",
        sqlite_where=text("tell_at IS NOT NULL"),
        postgresql_where=text("tell_at IS NOT NULL"),
    ),
    # Ended jobs, to find the oldest.
    Index("ix_jobs_ended", "event_at", sqlite_where=text("rank = 2"), postgresql_where=text("rank = 2")),
)

offsets = Table(
    "offsets",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    # The next one to read; what is before it is in the other tables. Offsets have 64 bits.
    Column("next", BigInteger, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("host", String(253), nullable=False),
    Column("events", JSON(none_as_null=True)),
    Column("payload", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    Column("disabled_reason", String(16)),
    # Whether an event has still to say that we disabled it.
    Column("untold", Integer, nullable=False, server_default=text("0")),
    Column("failures_in_row", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", Double),
    Column("held_until", Double, nullable=False, server_default=text("0")),
    # One dispatcher tries whether it is well again; until then, should it die, no other does.
    Column("probe_until", Double, nullable=False, server_default=text("0")),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", String(64), nullable=False, index=True),
    # Null: the tenant's own, for the URLs that its requests name.
    Column("endpoint_id", String(64), ForeignKey("endpoints.id", ondelete="CASCADE"), index=True),
    Column("kind", String(8), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("message_id", String(64), nullable=False),
    Column("endpoint_id", String(64), ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("job_id", String(128)),
    Column("event", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("once", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(16)),
    Column("due_at", Double, nullable=False),
    # A dispatcher that has died lets go of its deliveries at this time.
    Column("claimed_until", Double, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # How many of them were made before somebody asked for the delivery again: the schedule began anew after these.
    Column("earlier", Integer, nullable=False, server_default=text("0")),
    Column("ended_at", Double),
    # No other index may begin with the endpoint: SQLite would walk it, through all that is over, to what is pending.
    Index(
        "ix_deliveries_due",
        "endpoint_id",
        "due_at",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_deliveries_tenant_created_at", "tenant", "created_at"),
    Index("ix_deliveries_created_at", "created_at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", String(36), ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("status", Integer),
)
