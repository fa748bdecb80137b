"""Makes keys, and new secrets for those that there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from opa.plugins.access_keys.records import KeyRecord, hash_of
from opa.plugins.access_keys.tokens import new_id, new_token


def new_key(name: str, scopes: Iterable[str], lifetime: timedelta | None, now: datetime) -> tuple[KeyRecord, str]:
    """A new key: what is kept of it, and the key itself.

    Args:
        lifetime: after which it ends; None: it does not.
    """
    key_id = new_id()
    token = new_token(key_id)
    return KeyRecord(key_id, name, tuple(scopes), now, _end(now, lifetime), hash_of(token)), token


def rotated(record: KeyRecord, lifetime: timedelta | None, overlap: timedelta, now: datetime) -> tuple[KeyRecord, str]:
    """The same key with a new secret. The one that it has goes on for `overlap`, and the one before that ends.

    Args:
        lifetime: of the new secret, from now on; None: it does not end.
        overlap: not longer than until the old secret ends anyway.
    """
    token = new_token(record.id)
    until = now + overlap if record.expires is None else min(now + overlap, record.expires)
    goes_on = until > now
    changed = replace(
        record,
        created=now,
        expires=_end(now, lifetime),
        hash=hash_of(token),
        former_hash=record.hash if goes_on else "",
        former_until=until if goes_on else None,
    )
    return changed, token


def lifetime_of(record: KeyRecord) -> timedelta | None:
    """For how long its secret was made; None: for ever."""
    return None if record.expires is None else record.expires - record.created


def _end(now: datetime, lifetime: timedelta | None) -> datetime | None:
    return None if lifetime is None else now + lifetime
