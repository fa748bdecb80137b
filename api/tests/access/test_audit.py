"""The audit log: what stands in it, where, and what happens while redis is away."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis
from loguru import logger

from opa import audit
from opa.plugins.access_keys.tokens import new_id, new_token
from tests.http.access.badges import BADGES
from tests.project import Project
from tests.servers import Server, wait_until

SHOP = """
    from typing import Annotated

    from starlette.requests import Request
    from opa import Actor, Requires, audit, get_router

    router = get_router()

    @router.get("/close")
    async def close(actor: Annotated[Actor, Requires()]):
        audit("shop.close", reason="inventory", password="planted")

    @router.get("/open")
    def is_open(actor: Annotated[Actor, Requires()]):
        audit("shop.open", until="evening")

    @router.get("/sign-in")
    async def sign_in(request: Request):
        audit("sign-in", who="carl", request=request)

    @router.get("/nobody")
    async def nobody(request: Request):
        audit("look", request=request)
"""
BADGE = {"X-Badge": "anna"}


@pytest.fixture
def lines() -> Any:
    """The lines that the audit log writes, with their fields."""
    found: list[dict[str, Any]] = []

    def take(message: Any) -> None:
        if message.record["name"] == "opa.audit":
            found.append(dict(message.record["extra"]))

    number = logger.add(take, level=0)
    yield found
    logger.remove(number)


def entries(url: str, project: str) -> list[dict[str, Any]]:
    with redis.Redis.from_url(url) as client:
        return [json.loads(values[b"entry"]) for _, values in client.xrange(f"opa:{project}:audit")]


def shop(project: Project, **settings: Any) -> None:
    project.plugin("badges.py", BADGES)
    project.plugin("shop.py", SHOP)
    project.settings(**settings)


def test_an_entry_says_who_what_when_and_from_where(project: Project, lines: list[dict[str, Any]]) -> None:
    shop(project)
    with project.client(client=("192.0.2.7", 5)) as client:
        for path in ("/close", "/open"):
            assert client.get(path, headers=BADGE).status_code == 200

    assert [(line["who"], line["what"], line["from"]) for line in lines] == [
        ("badge:anna", "shop.close", "192.0.2.7"),
        ("badge:anna", "shop.open", "192.0.2.7"),
    ]
    assert lines[0]["when"].endswith("Z")
    assert (lines[0]["reason"], lines[0]["password"]) == ("inventory", "***")


def test_the_audit_log_names_a_caller_who_is_signing_in(project: Project, lines: list[dict[str, Any]]) -> None:
    shop(project)
    with project.client(client=("192.0.2.7", 5)) as client:
        client.get("/sign-in")
        client.get("/nobody")
    assert [(line["who"], line["from"]) for line in lines] == [("carl", "192.0.2.7"), ("unknown", "192.0.2.7")]


def test_outside_of_requests_it_is_the_user_of_the_system(lines: list[dict[str, Any]]) -> None:
    audit("rotate")
    assert (lines[0]["who"], lines[0]["from"]) == (f"{getpass.getuser()}@{socket.gethostname()}", socket.gethostname())


def test_the_audit_log_is_written_at_every_level(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    shop(project, LOGLEVEL="critical", LOG_FORMAT="json")
    with project.client() as client:
        client.get("/close", headers=BADGE)
    [line] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["logger"], line["level"], line["message"]) == (
        "opa.audit",
        "AUDIT",
        "badge:anna from testclient: shop.close",
    )
    assert line["extra"]["what"] == "shop.close"


def test_audit_never_raises(lines: list[dict[str, Any]]) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    inside: list[Any] = []
    inside.append(inside)
    fields: dict[str, Any] = {"from": "elsewhere", "broken": Broken(), "mapping": {"a": 1}, "numbers": (1, inside)}
    audit("line\nbreak {x} <red>", **fields)
    assert lines[0]["numbers"][0] == 1
    assert lines[0]["from"] != "elsewhere"
    json.dumps(lines[0])


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), -float("inf"), 10**5000], ids=["nan", "inf", "-inf", "long"]
)
def test_a_number_that_json_does_not_have_is_a_text(lines: list[dict[str, Any]], number: float) -> None:
    """Else who reads it as JSON reads none of it."""
    audit("stock.count", number=number, numbers=[number], whole=10**400, half=0.5)
    assert isinstance(lines[0]["number"], str)
    json.dumps(lines[0], allow_nan=False)
    assert (lines[0]["whole"], lines[0]["half"]) == (10**400, 0.5)


def test_redis_has_the_same_and_no_more_than_the_setting_says(project: Project, redis_url: str) -> None:
    name = uuid4().hex
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    shop(project, AUDIT_LOG="redis", AUDIT_LOG_LENGTH=100, PROJECT_ID=name)
    with project.client() as client:
        for path in ("/close", "/open"):
            client.get(path, headers=BADGE)
        wait_until(lambda: len(entries(redis_url, name)) == 2)
        first = entries(redis_url, name)[0]
        assert (first["who"], first["what"], first["password"]) == ("badge:anna", "shop.close", "***")
        for _ in range(400):
            client.get("/close", headers=BADGE)
        wait_until(lambda: entries(redis_url, name)[0]["what"] != "shop.close" or len(entries(redis_url, name)) < 300)


@pytest.mark.parametrize("path", ["/close", "/open"])
@pytest.mark.parametrize("way", ["kill", "hang"])
def test_while_redis_is_gone_the_line_stands_and_a_warning_says_so(
    project: Project,
    start_redis: Callable[[], Server],
    lines: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    path: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("opa.access.audit.TIME_LIMIT", 0.2)
    server = start_redis()
    project.component("AIOREDIS", "redis-aioredis", URL=server.url)
    shop(project, AUDIT_LOG="redis")
    said = ""

    def has_warned() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return "is in the log alone, not in redis" in said

    with project.client() as client:
        getattr(server, way)()
        assert client.get(path, headers=BADGE).status_code == 200
        assert len(lines) == 1
        wait_until(has_warned)
        if way == "hang":
            server.go_on()


def test_without_redis_a_warning_says_so(
    project: Project, lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    shop(project, AUDIT_LOG="redis")
    with project.client() as client:
        client.get("/close", headers=BADGE)
    assert len(lines) == 1
    assert "is in the log alone, not in redis: component 'aioredis' is not connected" in capsys.readouterr().err


def test_whatever_is_given_an_entry_fits_into_a_line(lines: list[dict[str, Any]]) -> None:
    huge = "x" * 10_000_000
    deep: list[Any] = [huge] * 1000
    fields: dict[str, Any] = {f"field{number}": deep for number in range(1000)}
    audit("a" * 10_000, who=huge, text=huge, nested=[[[[huge] * 1000] * 1000] * 1000], number=10**4000, **fields)
    audit("b", password=huge, names=["short"] * 3, ids=[str(number) for number in range(100)])

    long, short = lines
    assert len(json.dumps(long)) < 20_000
    assert long["who"] == "x" * 1000 + "…"
    assert short["names"] == ["short"] * 3
    assert len(short["ids"]) == 100
    assert short["password"] == "***"


def test_a_secret_at_the_place_where_a_text_is_cut_is_not_shown(lines: list[dict[str, Any]]) -> None:
    key = new_token(new_id())
    for length in (990, 1000, 9_960, 9_990):
        audit("a", text="x" * length + " " + key)

    assert not [line for line in lines if "opa_" in line["text"]]
