"""Alembic, before it is imported: whether it is installed, and what it says."""

from __future__ import annotations

import importlib.util
import logging

from opa import OpaError


def prepare_alembic() -> None:
    """See that it is there, and have it tell of no step that is as always.

    Raises:
        OpaError: it is not.
    """
    if importlib.util.find_spec("alembic") is None:
        raise OpaError(
            "migrations of SQL databases need alembic, which is not installed",
            hint="Install the extra: pip install 'opa-stack[sql]'. An image gets it with COMPOSE_PROFILES=sql in .env,"
            " by docker compose build",
        )
    logger = logging.getLogger("alembic")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
