"""Who sends a request, by its API key."""

from __future__ import annotations

import asyncio
import hmac
import importlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Headers
from redis.asyncio import Redis
from starlette.testclient import TestClient, WebSocketDenialResponse
from typer.testing import CliRunner

from opa import RefusedCredentialError, errors
from opa.cli.commands import app
from opa.plugins.access_keys import check as module
from opa.plugins.access_keys.check import MOST_FRESH, KeyCheck, token_in
from opa.plugins.access_keys.making import new_key, rotated
from opa.plugins.access_keys.records import NOBODY, KeyRecord
from opa.plugins.access_keys.tokens import id_in, new_id, new_token
from tests.project import Project
from tests.serve.process import Opa
from tests.servers import Server, wait_until

SHOP = """
    from typing import Annotated

    from fastapi import WebSocket
    from opa import Actor, Requires, get_router

    router = get_router()

    @router.get("/read")
    def read(actor: Annotated[Actor, Requires("shop:read")]):
        return [actor.id, actor.kind, sorted(actor.scopes), dict(actor.claims)]

    @router.get("/write")
    def write(actor: Annotated[Actor, Requires("shop:write")]):
        return actor.id

    @router.get("/open")
    def is_open():
        return "open"

    @router.websocket("/socket")
    async def socket(websocket: WebSocket, actor: Annotated[Actor, Requires("shop:read")]):
        await websocket.accept()
        await websocket.send_text(actor.id)
"""
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def keys(*arguments: str) -> str:
    """What `opa keys` prints on standard output."""
    result = CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def use_redis(project: Project, url: str) -> None:
    project.component("AIOREDIS", "redis-aioredis", URL=url)
    project.settings(PROJECT_ID=uuid4().hex)


def put_into_settings(project: Project, *records: KeyRecord) -> None:
    project.settings(ACCESS_KEYS={record.name: record.as_mapping() for record in records})


@pytest.fixture
def shop(project: Project, redis_url: str) -> Project:
    project.plugin("shop.py", SHOP)
    use_redis(project, redis_url)
    return project


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused_alike(client: TestClient, headers: Any) -> bool:
    """Whether requests with these headers get the answer that one without a key gets, also of a websocket."""
    answer, without = client.get("/read", headers=headers), client.get("/read")
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/socket", headers=headers):
        pass
    assert answer.status_code == without.status_code == denied.value.status_code == 401
    return answer.content == without.content and answer.headers == without.headers


def test_a_key_is_sent_as_a_bearer_token_or_in_a_header_of_its_own(shop: Project) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    with shop.client() as client:
        for headers in (bearer(token), {"authorization": f"bearer  {token} "}, {"X-API-Key": token}):
            assert client.get("/read", headers=headers).json() == [
                "key:bot",
                "key",
                ["shop:read"],
                {"key_id": token[4:16]},
            ]
            with client.websocket_connect("/socket", headers=headers) as socket:
                assert socket.receive_text() == "key:bot"


def test_a_key_without_the_scope_is_told_which_is_missing(shop: Project) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "never")
    with shop.client() as client:
        answer = client.get("/write", headers=bearer(token))
    assert (answer.status_code, answer.json()) == (403, {"detail": "the scope shop:write is missing"})


def test_all_that_is_wrong_with_a_key_has_one_answer(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not tell whether a key is there; and the log has neither the right key nor a wrong one."""
    expired, old = new_key("old", ["shop:read"], DAY, NOW - 2 * DAY)
    put_into_settings(shop, expired)
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    gone = keys("create", "gone", "--scope", "shop:read", "--expires", "1d")
    keys("revoke", "gone")
    former = keys("create", "new", "--scope", "shop:read", "--expires", "1d")
    keys("rotate", "new", "--overlap", "0")
    wrong = {
        "wrong secret": new_token(token[4:16]),
        "wrong secret of one in the settings": new_token(old[4:16]),
        "unknown": new_token("0" * 12),
        "expired": old,
        "revoked": gone,
        "rotated": former,
        "wrong checksum": f"{token[:-6]}000000",
        "cut off": token[:-1],
        "longer": f"{token}0",
        "of upper case": token.upper(),
        "two": f"{token}, Bearer {token}",
        "nothing": "opa_",
        "huge": f"opa_{'a' * 30_000}",
    }
    capsys.readouterr()
    with shop.client() as client:
        for what, given in wrong.items():
            assert refused_alike(client, bearer(given)), what
            assert refused_alike(client, {"X-API-Key": given}), what
        assert client.get("/read", headers=bearer(token)).status_code == 200
    output = "".join(capsys.readouterr())
    assert "401" in output
    assert [what for what, given in wrong.items() if len(given) > 30 and given[16:40] in output] == []
    assert token[16:40] not in output


def test_a_key_of_another_project_in_the_same_redis_is_none(shop: Project) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    with shop.client() as client:
        assert client.get("/read", headers=bearer(token)).status_code == 200
    shop.settings(PROJECT_ID=uuid4().hex)
    other = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")  # of the same name
    with shop.client() as client:
        assert refused_alike(client, bearer(token))
        assert client.get("/read", headers=bearer(other)).status_code == 200


def test_a_request_with_two_keys_is_refused(shop: Project) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    key, other = f"Bearer {token}", "Basic dXNlcjpwYXNz"
    with shop.client() as client:
        for headers in (
            [("Authorization", key), ("Authorization", key)],
            [("Authorization", key), ("X-API-Key", token)],
            [("X-API-Key", token), ("X-API-Key", token)],
            [("X-API-Key", token), ("X-API-Key", "else")],
            [("Authorization", key), ("Authorization", other)],
            [("Authorization", other), ("Authorization", key)],
        ):
            assert refused_alike(client, Headers(headers))
        # What a proxy in front asks for is another matter.
        assert client.get("/read", headers=[("Authorization", other), ("X-API-Key", token)]).status_code == 200


@pytest.mark.parametrize(
    "value", ["Basic opa_x", "Bearer eyJ.a.b", "Bearer", "opa_x", "", "Bearer OPA_x", "Beareropa_x"]
)
def test_a_credential_of_another_kind_is_left_to_others(value: str) -> None:
    assert token_in([(b"authorization", value.encode()), (b"x-api-key", b"sk-123"), (b"host", b"opa_x")]) is None


def test_a_rotated_key_goes_on_as_it_was_for_a_while(shop: Project) -> None:
    former = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    token = keys("rotate", "bot", "--overlap", "1h")
    with shop.client() as client:
        assert [client.get("/read", headers=bearer(each)).status_code for each in (former, token)] == [200, 200]


def test_a_key_that_is_right_ends_in_time_though_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    record, token = new_key("bot", [], DAY, NOW)
    check = key_check(record)

    async def run() -> None:
        assert (await check.actor(token)).id == "key:bot"
        monkeypatch.setattr(module, "time", (NOW + DAY).timestamp)
        with pytest.raises(RefusedCredentialError, match="has expired"):
            await check.actor(token)

    asyncio.run(run())


def test_keys_in_the_settings_need_no_redis(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    first, token = new_key("bot", ["shop:read"], None, NOW)
    second, former = new_key("cron", ["shop:*"], None, NOW)
    second, _ = rotated(second, None, DAY, NOW)
    put_into_settings(project, first, second)
    with project.client() as client:
        assert client.get("/read", headers=bearer(token)).json()[0] == "key:bot"
        assert client.get("/write", headers=bearer(former)).json() == "key:cron"
        assert refused_alike(client, bearer(new_token("0" * 12)))


def test_without_redis_the_keys_of_the_settings_go_on_and_others_are_told_to_come_again(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    server = start_redis()
    project.plugin("shop.py", SHOP)
    use_redis(project, server.url)
    record, in_settings = new_key("spare", ["shop:read"], None, NOW)
    put_into_settings(project, record)
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    unknown = new_token("0" * 12)
    with project.client() as client:
        assert client.get("/read", headers=bearer(token)).status_code == 200
        server.kill()
        wait_until(lambda: client.get("/read", headers=bearer(token)).status_code == 503)
        answers = [client.get("/read", headers=bearer(each)) for each in (token, unknown, new_token(in_settings[4:16]))]
        assert {(answer.status_code, answer.text) for answer in answers} == {(503, answers[0].text)}
        assert "aioredis" in answers[0].json()["detail"]
        assert client.get("/read", headers=bearer(in_settings)).status_code == 200
        assert client.get("/open").json() == "open"
        server.start()
        wait_until(lambda: client.get("/read", headers=bearer(token)).status_code == 200)


def test_keys_open_what_the_settings_close(project: Project, start_redis: Callable[[], Server]) -> None:
    """Also the page of the documentation; and where redis is gone it stays closed."""
    server = start_redis()
    project.plugin("shop.py", SHOP)
    use_redis(project, server.url)
    project.settings(ACCESS={"/open": "shop:read"}, ACCESS_DEFAULT="closed")
    token, other = (keys("create", name, "--scope", f"{name}:*", "--expires", "1d") for name in ("shop", "other"))
    with project.client() as client:
        for path in ("/open", "/docs", "/openapi.json"):
            assert client.get(path, headers=bearer(token)).status_code == 200
            assert client.get(path, headers=bearer(new_token(token[4:16]))).status_code == 401
        assert client.get("/open", headers=bearer(other)).status_code == 403
        server.kill()
        wait_until(lambda: client.get("/open", headers=bearer(token)).status_code == 503)
        assert client.get("/nothing", headers=bearer(token)).status_code == 503


def test_the_openapi_document_says_that_a_key_is_needed(shop: Project) -> None:
    with shop.client() as client:
        document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert {"ApiKey": ["shop:read"]} in document["paths"]["/read"]["get"]["security"]
    assert "security" not in document["paths"]["/open"]["get"]


def test_the_lookup_of_keys_is_imported_with_the_first_key(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    parts = [f"opa.plugins.access_keys.{name}" for name in ("check", "making", "records", "store", "tokens")]
    for part in parts:
        monkeypatch.delitem(sys.modules, part, raising=False)
    with shop.client() as client:
        client.get("/open", headers=bearer(token))
        assert [part for part in parts if part in sys.modules] == []
        assert client.get("/read", headers=bearer(token)).status_code == 200


def test_the_last_use_is_written(shop: Project) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")
    assert '"last_use": null' in keys("list", "--json")
    with shop.client() as client:
        client.get("/read", headers=bearer(token))
    wait_until(lambda: '"last_use": "20' in keys("list", "--json"))


@pytest.fixture
def two_apis(tmp_path: Any, redis_url: str, project: Project) -> Iterator[list[Opa]]:
    use_redis(project, redis_url)
    apis = [Opa(tmp_path / name) for name in ("one", "two")]
    for api in apis:
        api.plugin("shop.py", SHOP)
        api.environ |= {
            "OPA_WORKERS": "1",
            "OPA_WRONG_ATTEMPTS_PER_KEY": "null",
            "OPA_PROJECT_ID": project.config().PROJECT_ID,
            "OPA_OPTIONAL_COMPONENTS__AIOREDIS__LOAD": "yes",
            "OPA_OPTIONAL_COMPONENTS__AIOREDIS__OPTS__URL": redis_url,
        }
        api.start()
    try:
        yield apis
    finally:
        for api in apis:
            api.kill()


def test_a_revoked_key_is_refused_by_every_process(two_apis: list[Opa]) -> None:
    token = keys("create", "bot", "--scope", "shop:read", "--expires", "1d")

    def status(api: Opa) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{api.port}/read", headers=bearer(token))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    for api in two_apis:
        api.wait_until_ready()
        assert status(api) == 200, api.log
    keys("revoke", "bot")
    wait_until(lambda: [status(api) for api in two_apis] == [401, 401])
    assert [status(api) for api in two_apis] == [401, 401]


class Kept:
    """Stands for the keys in redis, and counts what it is asked."""

    def __init__(self, *records: KeyRecord) -> None:
        self.records = {record.id: record for record in records}
        self.asked: list[str] = []
        self.noted: list[str] = []
        self.may_note = asyncio.Event()

    async def find(self, key_id: str) -> KeyRecord:
        self.asked.append(key_id)
        await asyncio.sleep(0)  # others come meanwhile
        return self.records.get(key_id, NOBODY)

    async def note_use(self, key_id: str, _now: float, _interval: float) -> None:
        await self.may_note.wait()
        self.noted.append(key_id)


def key_check(*in_settings: KeyRecord, kept: Kept | None = None) -> KeyCheck:
    setting = {record.name: record.as_mapping() for record in in_settings}
    check = KeyCheck(SimpleNamespace(config=SimpleNamespace(ACCESS_KEYS=setting), optional_components={}))  # type: ignore[arg-type]
    if kept is not None:
        check._store = lambda: kept  # type: ignore[method-assign,assignment,return-value]
    return check


def test_a_wrong_key_takes_the_same_steps_whether_its_id_is_known_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, _ = new_key("bot", [], None, NOW)
    in_settings, _ = new_key("spare", [], None, NOW)
    kept = Kept(stored)
    compared: list[str] = []
    compare = hmac.compare_digest

    def compare_and_count(one: str, other: str) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare_and_count)

    async def steps(key_id: str) -> tuple[int, int]:
        check = key_check(in_settings, kept=kept)
        for _ in range(2):
            kept.asked.clear()
            compared.clear()
            with pytest.raises(RefusedCredentialError, match="not known, or its secret is wrong"):
                await check.actor(new_token(key_id))
        return len(kept.asked), len(compared)

    assert [asyncio.run(steps(each)) for each in (stored.id, in_settings.id, "0" * 12)] == [(1, 4)] * 3


def test_a_request_with_a_wrong_key_takes_the_same_steps_whether_its_id_is_known_or_not(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the way: also what counts wrong credentials, and the answer, ask redis and compare as often."""
    known = id_in(keys("create", "bot", "--expires", "1d"))
    assert known is not None
    steps: list[str] = []

    def noted(of: Any, name: str, step: Callable[..., str]) -> None:
        original = getattr(of, name)

        def note(*arguments: Any, **options: Any) -> Any:
            steps.append(step(*arguments))
            return original(*arguments, **options)

        monkeypatch.setattr(of, name, note)

    noted(Redis, "execute_command", lambda _client, command, *_: str(command))
    noted(hmac, "compare_digest", lambda *_: "compare")
    noted(json, "loads", lambda *_: "read")
    noted(errors, "mask_text", str)  # it takes longer for a longer text
    with shop.client() as client:
        # The application has imported it anew.
        noted(importlib.import_module("opa.plugins.access_keys.records"), "sha256", lambda *_: "hash")
        taken = []
        for key_id in (known, new_id(), known, new_id()):
            steps.clear()
            assert client.get("/read", headers=bearer(new_token(key_id))).status_code == 401
            taken.append(list(steps))
    # At the first time of all there is more to import and to connect.
    assert taken[2] == taken[3] == taken[1]
    assert {"hash", "HGET", "read", "compare", "EVAL"} <= set(taken[2])


def test_the_reason_in_the_log_has_the_id_of_a_key_that_there_is_and_of_no_other() -> None:
    """Or else each request with an id made up would have a line of its own."""
    stored, _ = new_key("bot", [], None, NOW)
    check = key_check(kept=Kept(stored))
    for key_id, is_said in ((stored.id, True), ("0" * 12, False)):
        with pytest.raises(RefusedCredentialError) as refused:
            asyncio.run(check.actor(new_token(key_id)))
        assert (key_id in str(refused.value)) is is_said


def test_a_right_key_is_asked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    record, token = new_key("bot", [], None, NOW)
    ticks = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: ticks)

    async def run() -> None:
        nonlocal ticks
        kept = Kept(record)
        check = key_check(kept=kept)
        assert [(await check.actor(token)).id for _ in range(3)] == ["key:bot"] * 3
        assert kept.asked == [record.id]
        kept.records.clear()
        ticks += module.FRESH_SECONDS
        with pytest.raises(RefusedCredentialError):
            await check.actor(token)

    asyncio.run(run())


def test_of_many_requests_with_one_key_at_once_the_first_asks_for_all() -> None:
    record, token = new_key("bot", [], None, NOW)

    async def run() -> None:
        kept = Kept(record)
        check = key_check(kept=kept)
        actors = await asyncio.gather(*(check.actor(token) for _ in range(200)))
        assert {actor.id for actor in actors} == {"key:bot"}
        assert kept.asked == [record.id]
        assert not check._locks

    asyncio.run(run())


def test_the_keys_that_are_remembered_are_bounded() -> None:
    made = [new_key(f"bot{number}", [], None, NOW) for number in range(MOST_FRESH + 5)]
    check = key_check(*(record for record, _ in made))

    async def run() -> None:
        for _, token in made:
            await check.actor(token)
        assert len(check._fresh) == MOST_FRESH

    asyncio.run(run())


def test_no_request_waits_for_the_note_of_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    record, token = new_key("bot", [], None, NOW)
    ticks = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: ticks)

    async def run() -> None:
        nonlocal ticks
        kept = Kept(record)
        check = key_check(kept=kept)
        for _ in range(30):
            await check.actor(token)
            ticks += 2
        assert kept.noted == []
        kept.may_note.set()
        await asyncio.gather(*check._notes)
        assert kept.noted == [record.id]
        ticks += module.NOTED_EVERY
        await check.actor(token)
        await asyncio.gather(*check._notes)
        assert kept.noted == [record.id] * 2

    asyncio.run(run())
