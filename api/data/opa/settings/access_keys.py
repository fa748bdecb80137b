"""Checks what ACCESS_KEYS says of an API key."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from opa.settings.field_types import Scopes, UpperKeys

NEVER = "never"
# Not compiled here: most starts have no key to check.
_ID = r"[0-9A-Za-z]{12}"
_HASH = r"sha256:[0-9a-f]{64}"


def key_id(value: str) -> str:
    """The part of a key that names it."""
    return _printed(_ID, value)


def key_hash(value: str) -> str:
    """What is kept of a key in its place."""
    return _printed(_HASH, value)


def _printed(pattern: str, value: str) -> str:
    if re.fullmatch(pattern, value) is None:
        raise ValueError("should be what opa keys create --settings has printed")
    return value


def moment(value: Any) -> str:
    """A time as a text, in UTC where it does not say; YAML makes an object of one that is not in quotes."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("should be a time such as 2027-01-31T12:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def moment_or_never(value: Any) -> str:
    """The same, or `never`."""
    return NEVER if isinstance(value, str) and value.strip().lower() == NEVER else moment(value)


Moment = Annotated[str, BeforeValidator(moment)]


class AccessKey(UpperKeys):
    """One of ACCESS_KEYS, as `opa keys create --settings` prints it."""

    ID: Annotated[str, AfterValidator(key_id)]
    HASH: Annotated[str, AfterValidator(key_hash)]
    SCOPES: Scopes
    CREATED: Moment
    EXPIRES: Annotated[str, BeforeValidator(moment_or_never)]
    FORMER_HASH: Annotated[str, AfterValidator(key_hash)] | None = None
    FORMER_UNTIL: Moment | None = None


def without_shared_ids(value: Mapping[str, AccessKey]) -> Mapping[str, AccessKey]:
    """The keys, each of which has an ID of its own."""
    if len({key.ID for key in value.values()}) < len(value):
        raise ValueError("should have each ID once: two of its keys have the same")
    return value
