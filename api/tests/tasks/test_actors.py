"""Who sent a request goes with the tasks that it sends, without what it may do."""

from __future__ import annotations

import pytest

from opa import Actor, get_actor
from opa.context import changed_context
from opa.tasks import request_ids
from tests.http.access.badges import BADGES, RIGHT
from tests.tasks.workers import TaskProject

SHOP = """
from opa import Requires, get_actor, get_router, log, task

router = get_router()


@task
def plain():
    return what()


@task
async def awaited():
    log.info("in a coroutine")
    return what()


@task
async def sends():
    return await (await awaited.send()).get(timeout=60)


def what():
    actor = get_actor()
    return None if actor is None else [actor.id, actor.kind, sorted(actor.scopes), dict(actor.claims)]


@router.post("/known/{name}", dependencies=[Requires()])
async def send(name: str):
    return await (await globals()[name].send()).get(timeout=60)


@router.post("/open/{name}")
async def send_for_nobody(name: str):
    return await (await globals()[name].send()).get(timeout=60)
"""


def test_a_task_knows_who_sent_the_request_that_sent_it(tasks: TaskProject) -> None:
    tasks.plugin("badges.py", BADGES)
    tasks.plugin("shop.py", SHOP)
    worker = tasks.worker()
    with tasks.sending() as client:
        for name in ("plain", "awaited"):
            assert client.post(f"/known/{name}", headers=RIGHT).json() == ["badge:anna", "badge", [], {}]
            assert client.post(f"/open/{name}", headers=RIGHT).json() is None
    actors = [line.get("extra", {}).get("actor") for line in worker.lines if line["message"] == "in a coroutine"]
    assert actors == ["badge:anna", None]


@pytest.mark.parametrize("headers", [{"actor": "x" * 600}, {"actor": "a\nb", "actor_kind": "k"}, {"actor": ["a"]}, {}])
def test_a_message_that_names_no_actor_is_of_nobody(headers: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_ids, "_headers_of_task", lambda: headers)
    with changed_context() as context:
        context.actor = Actor("someone", "else")
        with request_ids.belonging_to_its_request():
            assert get_actor() is None


def test_scopes_and_details_of_an_actor_are_not_sent() -> None:
    with changed_context() as context:
        context.actor = Actor("key:a", "key", frozenset({"admin"}), {"email": "x"})
        assert request_ids.with_request_id({"mine": 1}) == {"actor": "key:a", "actor_kind": "key", "mine": 1}
