"""Keys, and new secrets for them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from opa.plugins.access_keys.making import lifetime_of, new_key, rotated
from opa.plugins.access_keys.records import NOBODY, KeyRecord, hash_of

NOW = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_nothing_that_is_kept_has_the_secret() -> None:
    record, token = new_key("bot", ["shop:read"], DAY, NOW)

    kept = repr(record) + repr(record.as_mapping())
    assert token[16:59] not in kept
    assert record.end_of(hash_of(token)) == (NOW + DAY).timestamp()


def test_a_key_is_read_as_it_was_kept() -> None:
    record, _ = new_key("bot", ["shop:read"], None, NOW)
    record, _ = rotated(record, None, DAY, NOW)

    assert KeyRecord.from_mapping("bot", record.as_mapping()) == record


def test_a_key_without_an_end_is_right_for_ever() -> None:
    record, token = new_key("bot", [], None, NOW)

    assert record.end_of(hash_of(token)) == math.inf


def test_another_secret_of_the_same_id_is_wrong() -> None:
    record, _ = new_key("bot", [], None, NOW)
    _, other = rotated(record, None, DAY, NOW)

    assert record.end_of(hash_of(other)) is None
    assert NOBODY.end_of(hash_of(other)) is None


def test_a_rotated_key_goes_on_as_it_was_for_the_overlap() -> None:
    record, former = new_key("bot", ["shop:read"], None, NOW)
    changed, token = rotated(record, None, DAY, NOW)

    assert changed.end_of(hash_of(token)) == math.inf
    assert changed.end_of(hash_of(former)) == (NOW + DAY).timestamp()
    assert (changed.id, changed.scopes) == (record.id, record.scopes)


def test_the_overlap_does_not_prolong_a_secret() -> None:
    record, former = new_key("bot", [], DAY, NOW)
    changed, _ = rotated(record, 30 * DAY, 7 * DAY, NOW)

    assert changed.end_of(hash_of(former)) == (NOW + DAY).timestamp()
    assert changed.expires == NOW + 30 * DAY


@pytest.mark.parametrize(("overlap", "later"), [(timedelta(), timedelta()), (DAY, 2 * DAY)])
def test_without_an_overlap_the_secret_ends_at_once(overlap: timedelta, later: timedelta) -> None:
    """Also that of a key which has expired."""
    record, former = new_key("bot", [], DAY, NOW)
    changed, _ = rotated(record, DAY, overlap, NOW + later)

    assert changed.end_of(hash_of(former)) is None
    assert "FORMER_HASH" not in changed.as_mapping()


def test_a_second_rotation_ends_the_secret_before_the_last() -> None:
    record, first = new_key("bot", [], None, NOW)
    record, second = rotated(record, None, DAY, NOW)
    record, _ = rotated(record, None, DAY, NOW)

    assert record.end_of(hash_of(first)) is None
    assert record.end_of(hash_of(second)) == (NOW + DAY).timestamp()


def test_a_new_secret_can_last_as_long_as_the_one_before() -> None:
    record, _ = new_key("bot", [], 90 * DAY, NOW)

    assert lifetime_of(record) == 90 * DAY
    assert lifetime_of(new_key("bot", [], None, NOW)[0]) is None
