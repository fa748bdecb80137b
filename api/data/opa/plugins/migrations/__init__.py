"""Migrations: the folder `migrations/` of plugins, and `opa migrate`, which runs what is in them.

Nothing more is imported before somebody asks for it, and Alembic only where a migration of a SQL database runs.
"""

from __future__ import annotations

from opa import Convention

MIGRATIONS = Convention("migrations/", "what opa migrate runs, in the order of its numbers")
