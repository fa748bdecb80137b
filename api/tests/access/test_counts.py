"""How many credentials were right and wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from opa import OpaError, credential_counts
from opa.access.counts import MOST_KINDS, OTHER, count_credential
from opa.core.running import set_running


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    manager = SimpleNamespace(kept={})
    monkeypatch.setattr("opa.access.counts.running_manager", lambda: manager)
    return manager


def test_each_outcome_of_a_kind_that_was_seen_is_there(manager: SimpleNamespace) -> None:
    assert credential_counts() == {}
    for outcome in ("right", "wrong", "right"):
        count_credential(manager, "key", outcome)
    assert credential_counts() == {
        ("key", "right"): 2,
        ("key", "wrong"): 1,
        ("key", "over"): 0,
        ("key", "waiting"): 0,
        ("key", "unavailable"): 0,
    }


def test_kinds_that_are_made_up_are_counted_together(manager: SimpleNamespace) -> None:
    for number in range(MOST_KINDS + 50):
        count_credential(manager, f"kind {number}", "right")
    counts = credential_counts()
    assert len({kind for kind, _ in counts}) == MOST_KINDS + 1
    assert counts[OTHER, "right"] == 50


def test_outside_of_an_application_there_are_none() -> None:
    set_running(None)
    with pytest.raises(OpaError):
        credential_counts()
