"""Creates tables, once for all processes that do so at the same time."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, text

LOCK = 7_163_926_021_544_118
"""Of PostgreSQL: any number that others do not use."""


def create_all(connection: Connection, metadata: MetaData) -> None:
    """Create those that are missing; the caller commits."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    elif connection.dialect.name == "sqlite":
        connection.execute(text("BEGIN IMMEDIATE"))
    metadata.create_all(connection)
