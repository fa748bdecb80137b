"""What a database has refused, for whoever has entered it."""

from __future__ import annotations

from sqlalchemy.exc import CircularDependencyError, DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm.exc import FlushError

from opa import mask_text

_KINDS = (
    (("unique constraint", "unique failed", "duplicate key"), "There is one with this value already"),
    (("foreign key",), "This does not fit what refers to it, or what it refers to"),
    (("not null", "not-null", "null value"), "This must not be empty"),
    (("check constraint",), "The database does not allow this value"),
)


_DATA = "22"
"""How the codes of PostgreSQL for that begin."""
_OTHER_TYPE = frozenset({"42804", "42846", "42883"})
"""Those for what cannot be compared with a column: a type that does not fit, no cast to it, no such operator."""


def refusal(error: Exception) -> str:
    """What to say; empty where it is no refusal of what was entered."""
    if isinstance(error, IntegrityError):
        text = str(error.orig).lower()
        return next(
            (said for words, said in _KINDS if any(word in text for word in words)), "The database refuses this"
        )
    if isinstance(error, CircularDependencyError):
        return "This would lead in a circle"
    if _is_of_data(error) or (isinstance(error, OverflowError) and not isinstance(error, StatementError)):
        return "The database cannot keep this value"
    if type(error) is StatementError or isinstance(error, LookupError):  # raised before the database was asked
        return "This value is none of those that can be"
    if isinstance(error, ValueError | TypeError | FlushError):  # the last one of a row in whose key something is NULL
        return mask_text(str(error).partition("\n")[0]) or "This value cannot be kept"
    return ""


def _is_of_data(error: Exception) -> bool:
    """Whether a value is none that the column, or the driver, takes."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    # asyncpg refuses some before it sends them, and SQLAlchemy has no kind for that.
    chain = (error.orig, error.orig.__cause__)
    return (
        isinstance(error, DataError)
        or "DataError" in [type(each).__name__ for each in chain]
        or any(code.startswith(_DATA) for code in _codes(error))
    )


def is_of_type(error: Exception) -> bool:
    """Whether a value is of a type with which the column cannot be compared."""
    return isinstance(error, DBAPIError) and not _OTHER_TYPE.isdisjoint(_codes(error))


def _codes(error: DBAPIError) -> list[str]:
    chain = () if error.orig is None else (error.orig, error.orig.__cause__)
    return [str(getattr(each, "sqlstate", None) or "") for each in chain]


def field_of(error: Exception, names: list[str]) -> str:
    """The field that it is about, where the database names it; otherwise the first."""
    text = str(getattr(error, "orig", error)).lower()
    named = sorted((name for name in names if name.lower() in text), key=len, reverse=True)
    return named[0] if named else names[0]
