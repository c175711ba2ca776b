"""The tables of the read model. `positions` stands beside what was projected: both change in one transaction."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

POSITIONS = Table(
    "positions",
    METADATA,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

ANNOUNCEMENTS = Table(
    "announcements",
    METADATA,
    Column("release_id", String, primary_key=True),
    Column("lab", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("body", Text, nullable=False),
)

WINDOWS = Table(
    "windows",
    METADATA,
    Column("release_id", String, primary_key=True),
    Column("lab", String, nullable=False),
    Column("status", String, nullable=False),
    Column("exercise", Boolean, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("windows_by_status", "status", "changed_ms"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("release_id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("appended_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("events_by_release", "release_id"),
)
"""What became of each release, event by event: its announcements, windows and acknowledgements. Never who answered."""

ANSWERS = Table(
    "answers",
    METADATA,
    Column("release_id", String, primary_key=True),
    Column("agency", String, primary_key=True),
    Column("life", Integer, primary_key=True, autoincrement=False),
    Column("disposition", String, primary_key=True),
    Column("recorded_at", String, nullable=False),
)
"""What an agency answered in a life of a release, each disposition once, with the time of its last. Never by whom."""

EDGE_EVENTS = Table(
    "edge_events",
    METADATA,
    # One partition a topic: the offset orders what a participant was sent, and is its cursor.
    Column("topic", String, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("release_id", String),
    Column("event_id", String),
    Column("appended_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("edge_events_by_release", "topic", "release_id"),
    Index("edge_events_of_release", "release_id"),
    Index("edge_events_by_event", "topic", "event_id"),
    Index("edge_events_by_id", "topic", "id"),
    Index("edge_events_by_time", "topic", "appended_ms"),
)
"""Everything on `alerts.<agency>` and `receipts.<participant>`, as it was sent."""

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("delivery_id", String, primary_key=True),
    Column("agency", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("release_id", String, nullable=False),
    # Of `deliveries`: the first and the last request, as Kafka took them, and what the last one says.
    Column("first_ms", BigInteger),
    Column("requested_ms", BigInteger),
    Column("request", Text),
    # Of `delivery-outcomes`: the last outcome, and how many attempts there were.
    Column("settled_ms", BigInteger),
    Column("standing", String),
    Column("attempts", Integer, nullable=False),
    Column("last", Text),
    Index("deliveries_by_time", "agency", "first_ms", "delivery_id"),
    Index("deliveries_by_age", "first_ms", "delivery_id"),
    Index("deliveries_of_release", "release_id"),
)
"""One alert on one endpoint. Each column follows one topic, so that it is the same whichever was read first."""

DELIVERY_OUTCOMES = Table(
    "delivery_outcomes",
    METADATA,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("delivery_id", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("delivery_outcomes_by_delivery", "delivery_id"),
)
"""Everything that came of a delivery: they lie in one partition, in order."""
