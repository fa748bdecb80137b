"""Dead letters on the console: what is seen of them, and what is done with them."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from tests.plugins.console.jobs import OWN, do
from tests.plugins.console.test_console import BADGES
from tests.serve.process import wait_until
from tests.tasks.runs_project import RunsProject

NASTY = "<script>alert(1)</script>'\"&"


def letter(letter_id: str, **more: Any) -> bytes:
    """A dead letter on redis, of a task that was rejected."""
    death = {"queue": "celery", "reason": "rejected", "deliveries": 1, "time": 1.7e9} | more.pop("death", {})
    headers = {
        "id": letter_id,
        "task": "jobs.nightly",
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "x-opa-death": death,
    } | more
    properties: dict[str, Any] = {
        "correlation_id": letter_id,
        "delivery_info": {"exchange": "", "routing_key": "celery"},
    }
    properties |= {"body_encoding": "utf-8", "delivery_tag": letter_id, "delivery_mode": 2}
    payload = {"body": "[[], {}, {}]", "content-type": "application/json", "content-encoding": "utf-8"}
    return json.dumps(payload | {"headers": headers, "properties": properties}).encode()


@pytest.fixture
def broker(idle: RunsProject) -> redis.Redis:
    client: redis.Redis = redis.Redis.from_url(idle.tasks.broker)
    return client


def put(broker: redis.Redis, *letters: bytes) -> None:
    """Put letters behind those that there are: the oldest one is at the end of the list."""
    broker.lpush(DEAD_LETTER_QUEUE, *letters)


def page_of(client: TestClient, path: str) -> str:
    """A page, once the broker has answered."""

    def made() -> Any:
        answer = client.get(f"/opa{path}")
        assert answer.status_code == 200, answer.text
        return "has not answered yet" not in answer.text and answer

    return str(wait_until(made).text)


def test_dead_letters_are_seen_sent_again_and_dropped(
    idle: RunsProject, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENV", "dev")
    put(broker, letter("first", argsrepr=f"({NASTY}, 'password=hunter2')"))
    for name, state in (("first", "dead"), ("gone", "lost"), ("gone too", "lost"), ("broken", "failed")):
        idle.client.set(f"{idle.prefix}run:{name}", json.dumps({"t": "jobs.nightly", "s": state}))
        for index in ("all", f"state:{state}", "task:jobs.nightly"):
            idle.client.zadd(f"{idle.prefix}{index}", {name: time.time()})
    put(broker, letter(f"{NASTY}/..?", death={"reason": "delivery_limit", "deliveries": 5}), b"\xff" * 2000)
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        listed = page_of(client, "/dead")
        assert "jobs.nightly" in listed
        assert "A worker has rejected it" in listed
        assert "killed, or lost, each time that it was delivered, 5 times" in listed
        assert "is not a dead letter of opa-stack, and cannot be read" in listed
        assert "hunter2" not in listed
        assert "<script>alert" not in listed
        start = str(wait_until(lambda: "3 dead letters" in (page := client.get("/opa").text) and page))
        for state, told in (("lost", "2 runs of jobs.nightly were lost"), ("failed", "1 run of jobs.nightly failed")):
            assert f'href="/opa/runs?task=jobs.nightly&amp;state={state}&amp;period=86400">{told}' in start
        assert start.count("jobs.nightly") == 4, "a run that is a dead letter is counted among these alone"

        assert "<script>alert" not in page_of(client, "/dead/%3Cscript%3Ealert(1)%3C/script%3E'%22&/..%3F")
        assert "jobs.nightly" in page_of(client, "/dead/first")
        assert client.get("/opa/dead/nobody").status_code == 404

        unreadable = next(part for part in listed.split('"') if "/dead/sha256" in part).removeprefix("/opa")
        refused = do(client, f"{unreadable}/again")
        assert (refused.status_code, "stays, since it is not a dead letter" in refused.text) == (400, True)
        with ThreadPoolExecutor(5) as pool:
            dropped = list(pool.map(lambda _: do(client, f"{unreadable}/drop").status_code, range(5)))
        assert sorted(dropped) == [303, 400, 400, 400, 400], "of five who drop it, one has"
        assert do(client, "/dead/first/again").status_code == 303
        assert do(client, "/dead/first/again").status_code == 400
        assert "first" not in page_of(client, "/dead")
    assert broker.llen(DEAD_LETTER_QUEUE) == 1
    assert [json.loads(message)["headers"]["id"] for message in broker.lrange("celery", 0, -1)] == ["first"]
    said = capsys.readouterr().err
    assert "development from testclient: tasks.retry" in said
    assert "development from testclient: tasks.drop" in said


def test_thousands_of_dead_letters_have_pages(
    idle: RunsProject, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    put(broker, *(letter(f"letter-{number}") for number in range(3000)))
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        assert "Page 1 of 60" in page_of(client, "/dead")
        last = page_of(client, "/dead?page=60")
        assert "/dead/letter-2999" in last
        assert "/dead/letter-2949" not in last
        assert "behind the last one" in page_of(client, "/dead?page=61")
        assert "letter-2999" in page_of(client, "/dead/letter-2999")
        for number in ("0", "-1", "x", "9" * 5000, "401", "1.0", "²", ""):
            assert client.get("/opa/dead", params={"page": number}).status_code == 404, number


def test_what_is_huge_in_a_letter_is_shown_in_part(
    idle: RunsProject, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    huge = NASTY * 100_000
    put(broker, letter("one", death={"queue": huge, "reason": huge, "problem": huge}, argsrepr=huge, task=huge))
    put(broker, letter("two", death={"time": 1e300}), letter("three", death={"deliveries": [huge]}), huge.encode())
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        for path in ("/dead", "/dead/one", ""):
            shown = page_of(client, path)
            assert len(shown) < 50_000
            assert "<script>alert" not in shown
        assert do(client, "/dead/one/drop").status_code == 303


@pytest.mark.parametrize("steps", ["../../logs", "..", "x/../../y", "\ud800"])
def test_a_link_and_a_button_lead_to_the_letter_whatever_its_sender_has_called_it(
    idle: RunsProject, broker: redis.Redis, steps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    put(broker, letter(steps))
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        [link] = set(re.findall(r'href="(/opa/dead/[^"]+)"', page_of(client, "/dead")))
        assert not {".", "..", "%2e%2e"} & set(link.lower().split("/"))
        if steps != "\ud800":  # no path can have it
            assert "jobs.nightly" in page_of(client, link.removeprefix("/opa"))


def test_each_action_needs_its_scope_and_a_page_of_this_host(idle: RunsProject, broker: redis.Redis) -> None:
    idle.tasks.plugin("badges.py", BADGES)
    idle.tasks.settings(PLUGINS={"authenticators": ["badges.Badges"]})
    put(broker, letter("one"))
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        for path in ("/dead", "/dead/one"):
            assert client.get(f"/opa{path}").status_code == 401
            assert client.get(f"/opa{path}", headers={"X-Badge": "console:read"}).status_code == 403
            seen = client.get(f"/opa{path}", headers={"X-Badge": "console:runs"})
            assert (seen.status_code, "/again" in seen.text) == (200, False)
        for action in ("again", "drop"):
            path = f"/opa/dead/one/{action}"
            foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
            assert client.post(path, headers=OWN).status_code == 401
            assert client.post(path, headers=OWN | {"X-Badge": "console:runs console:read"}).status_code == 403
            assert client.post(path, headers=foreign | {"X-Badge": "*"}).status_code == 403
            assert client.post(path, headers={"X-Badge": "*"}).status_code == 403
    assert broker.llen(DEAD_LETTER_QUEUE) == 1
