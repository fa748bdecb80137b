"""Limits while redis is gone, each way that the settings have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from tests.project import Project
from tests.servers import Server, wait_until

SHOP = """
from opa import RateLimit, get_router

router = get_router()


@router.get("/limited", dependencies=[RateLimit("2/hour", by=lambda request: request.headers["X-Caller"])])
async def limited():
    return "limited"


@router.get("/free")
async def free():
    return "free"
"""
Start = Callable[[], Server]


def statuses(client: TestClient, caller: str, count: int = 4) -> list[int]:
    return [client.get("/limited", headers={"X-Caller": caller}).status_code for _ in range(count)]


WITHOUT = {"local": [200, 200, 429, 429], "allow": [200] * 4, "refuse": [503] * 4}


@pytest.mark.parametrize("setting", WITHOUT)
@pytest.mark.parametrize("way", ["kill", "hang"])
def test_while_redis_is_gone_it_is_as_the_setting_says(
    project: Project, start_redis: Start, setting: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_redis()
    project.plugin("shop.py", SHOP)
    project.component("AIOREDIS", "redis-aioredis", URL=server.url)
    project.settings(RATE_LIMITS_WITHOUT_REDIS=setting)
    with project.client() as client:
        assert statuses(client, "before") == [200, 200, 429, 429]
        getattr(server, way)()
        assert statuses(client, "during") == WITHOUT[setting]
        assert client.get("/free").status_code == 200
        server.start() if way == "kill" else server.go_on()
        said = ""

        def counts_again() -> bool:
            nonlocal said
            statuses(client, "another", 1)
            said += capsys.readouterr().err
            return "'aioredis' counts again" in said

        wait_until(counts_again)
        assert statuses(client, "after") == [200, 200, 429, 429]
    assert said.count("'aioredis' does not count") == 1


@pytest.mark.parametrize("setting", WITHOUT)
def test_a_project_without_a_component_of_redis_is_limited_as_the_setting_says(project: Project, setting: str) -> None:
    project.plugin("shop.py", SHOP)
    project.settings(RATE_LIMITS_WITHOUT_REDIS=setting)
    with project.client() as client:
        assert statuses(client, "anna") == WITHOUT[setting]
