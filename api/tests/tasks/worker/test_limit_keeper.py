"""What a worker does for its limited tasks where redis does not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis

from opa.tasks.worker import limit_keeper
from opa.tasks.worker.limit_keeper import LimitKeeper
from tests.serve.process import wait_until


class Store:
    """Stands for one whose redis answers at the third try."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def leave(self, run: str, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(run)
        if len(self.asked) < 3:
            raise redis.ConnectionError
        return []

    def renew(self, *_: Any) -> dict[str, Any]:
        self.asked.append("renewed")
        return {}

    def sweep(self, *_: Any) -> tuple[str, list[Any]]:
        return "0", []


def test_a_redis_that_does_not_answer_is_asked_again_before_the_next_sign_of_life_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit_keeper, "INTERVAL", 3600.0)
    store = Store()
    keeper = LimitKeeper(SimpleNamespace(limit_store=store), "worker@here")
    keeper.start()
    keeper.ended("id:0", "id", "", has_ended=True, is_dead=False)
    wait_until(lambda: len(store.asked) == 4, what="what it holds is renewed")
    assert store.asked == ["id:0"] * 3 + ["renewed"]
    keeper.finish()
