"""What errors of a database mean: it is gone or cannot do it for now, it refuses us, or a statement is wrong."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from opa import mask_text

CANNOT_FOR_NOW = ("08", "53", "57P01", "57P02", "57P03", "57P05")
"""How the codes of PostgreSQL begin: no connection, not enough of something, shut down or not started yet."""
CANCELED = "57014"
"""By us, who have closed the connection meanwhile, or by a time limit: the database is there."""
REFUSED = ("28", "3D000")
"""A wrong password or user, and a database that does not exist."""
REFUSALS = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "unable to open database file",
)
"""The same in words."""
SQLITE_REFUSED = 26
"""NOTADB: the file is something else."""
SQLITE_CANNOT_FOR_NOW = (5, 6, 13)
"""BUSY, LOCKED and FULL."""


class DatabaseGoneError(OperationalError):
    """A database is gone, or cannot do for now what it is asked to.

    Attributes:
        component: the name of the component.
    """

    def __init__(self, problem: str, *, component: str) -> None:
        super().__init__(None, None, Exception(problem))
        self.problem = mask_text(problem)
        self.component = component

    def __str__(self) -> str:
        return self.problem


class DatabaseRefusedError(DatabaseGoneError):
    """A database does not let us in: another try cannot help."""


def as_outage(
    error: BaseException, *, component: str, is_disconnect: bool = False, is_connecting: bool = False
) -> DatabaseGoneError | None:
    """What an error is raised as, where it says that the database is gone or refuses us; None where it does not.

    Args:
        error: of the driver below SQLAlchemy.
        component: whose call has failed.
        is_disconnect: whether SQLAlchemy takes the connection for lost.
        is_connecting: whether there was none yet.
    """
    code = str(getattr(error, "sqlstate", None) or "")
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
    # libpq gives no code where it does not get in.
    is_operational = any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
    is_without_code = is_connecting and not code and is_operational
    # Options that the driver does not know; psycopg has an error of its own for them.
    is_misused = isinstance(error, (TypeError, ValueError, OverflowError)) or type(error).__name__ == "ProgrammingError"
    of_sqlite = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if of_sqlite == SQLITE_REFUSED or (is_connecting and not code and is_misused):
        return DatabaseRefusedError(text, component=component)
    if code.startswith(REFUSED) or (is_without_code and any(refusal in str(error) for refusal in REFUSALS)):
        return DatabaseRefusedError(text, component=component)
    is_gone = (
        (is_disconnect and code != CANCELED)
        or is_without_code
        or code.startswith(CANNOT_FOR_NOW)
        or isinstance(error, OSError)  # TimeoutError is one
        or of_sqlite in SQLITE_CANNOT_FOR_NOW
    )
    return DatabaseGoneError(text, component=component) if is_gone else None
