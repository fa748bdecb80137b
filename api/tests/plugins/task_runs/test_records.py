"""What a process knows of a run arrives in its record, and nothing in it breaks the record of another."""

from __future__ import annotations

import asyncio
import json
import traceback
from typing import Any

import pytest
import redis

from opa import TaskRun
from opa.plugins.task_runs.put import put
from opa.plugins.task_runs.reader import RunReader
from opa.plugins.task_runs.records import Run, error_line, told
from opa.plugins.task_runs.scripts import RECORD
from tests.plugins.task_runs.test_store import NOW, Store

HEADERS = {
    "argsrepr": "(1,)",
    "kwargsrepr": "{'password': 'hunter2'}",
    "parent_id": "another",
    "request_id": "0123456789abcdef",
    "actor": "mary",
    "actor_kind": "key",
    "schedule": "nightly",
    "event": "shop.closed",
}


def recorded(url: str, state: str, run: TaskRun, error: str = "") -> Run:
    store = Store(url)
    put(store.client.register_script(RECORD), store.limits, [told(state, run, "abc", error)], [])
    store.client.close()

    async def read() -> Run | None:
        client = redis.asyncio.Redis.from_url(url)
        try:
            return await RunReader(client, store.prefix, None).get(run.id)  # type: ignore[arg-type]
        finally:
            await client.aclose()

    found = asyncio.run(read())
    assert found is not None
    return found


def test_a_record_says_who_sent_it_when_and_where_it_ran_and_how_it_ended(redis_url: str) -> None:
    known: dict[str, Any] = {"queue": "slow", "worker": "celery@host", "tries": 2, "deliveries": 3}
    run = TaskRun(
        "id", "shop.add", "shop", sent_at=NOW, started_at=NOW + 1, ended_at=NOW + 2.5, headers=HEADERS, **known
    )
    found = recorded(redis_url, "failed", run, "LookupError: no bread")
    assert (found.task, found.plugin, found.state, found.error) == (
        "shop.add",
        "shop",
        "failed",
        "LookupError: no bread",
    )
    assert {name: getattr(found, name) for name in known} == known
    assert (found.sent, found.started, found.ended, found.since) == (NOW, NOW + 1, NOW + 2.5, NOW + 2.5)
    assert (found.parent, found.request_id, found.schedule) == ("another", "0123456789abcdef", "nightly")
    assert found.event == "shop.closed"
    assert (found.actor, found.actor_kind) == ("mary", "key")
    assert found.arguments.startswith("(1,)")
    assert "hunter2" not in found.arguments


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0, 1e300, 0.0])
def test_a_time_that_is_none_is_left_out(redis_url: str, odd: float) -> None:
    run = TaskRun("id", "shop.add", sent_at=odd, started_at=odd, ended_at=odd)
    found = recorded(redis_url, "succeeded", run)
    assert found.state == "succeeded"
    assert (found.sent, found.started, found.ended) == (None, None, None)


def test_names_hold_any_characters(redis_url: str) -> None:
    odd = 'a "quoted"\n\\ name \x00 ü'
    run = TaskRun(odd, odd, odd, odd, worker=odd, reason=odd, headers={"argsrepr": odd})
    found = recorded(redis_url, "revoked", run)
    assert (found.id, found.task, found.queue, found.worker, found.reason) == (odd, odd, odd, odd, odd)


def test_when_a_task_is_due_that_waits_for_its_time_is_known() -> None:
    run = TaskRun("id", "shop.add", sent_at=NOW, headers={"eta": "2027-01-15T08:00:00+00:00"})
    assert json.loads(told("waiting", run, "abc"))["f"]["u"] == 1_800_000_000
    assert "u" not in json.loads(told("waiting", TaskRun("id", "a", headers={"eta": "soon"}), "abc"))["f"]


class SaysMuchError(Exception):
    def __str__(self) -> str:
        return "Client error\n\nFor more information: https://example.com\n  indented"


def formatted(error: Exception, cause: Exception | None = None) -> str:
    try:
        raise error from cause
    except Exception:
        return traceback.format_exc()


@pytest.mark.parametrize("cause", [None, SyntaxError("wrong", ("shop.py", 3, 1, "def", 3, 4))], ids=["", "caused"])
@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (SaysMuchError(), f"{__name__}.SaysMuchError: Client error"),
        (ValueError("sold out"), "ValueError: sold out"),
        (SyntaxError("wrong", ("shop.py", 3, 1, "def", 3, 4)), "SyntaxError: wrong"),
        (ExceptionGroup("two", [ValueError("a\nb"), TypeError("c")]), "ExceptionGroup: two (2 sub-exceptions)"),
    ],
    ids=["much", "one line", "syntax", "group"],
)
def test_the_error_of_a_run_is_the_first_line_of_what_it_says(
    raised: Exception, line: str, cause: Exception | None
) -> None:
    assert error_line(formatted(raised, cause)) == line
    assert error_line("") == ""
    assert error_line(line) == line
