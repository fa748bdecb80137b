from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, MongoClient

from opa import get_component, get_instance
from opa.errors import ComponentError
from opa.mongodb_clients import GuardedClient
from opa.plugins.driver_mongodb.clients import arguments, new_client
from tests.project import Project
from tests.servers import Server, wait_until

CLIENTS = {
    "mongodb-async-motor": AsyncIOMotorClient,
    "mongodb-async-pymongo": AsyncMongoClient,
    "mongodb-pymongo": MongoClient,
}

NOTES = {
    "async": """
        from opa import get_instance, get_router

        router = get_router()

        @router.post("/notes/{text}")
        async def add(text: str):
            await get_instance("mongodb").get_default_database().notes.insert_one({"text": text})

        @router.get("/notes")
        async def read():
            notes = get_instance("mongodb").get_default_database().notes.find().sort("text")
            return [note["text"] async for note in notes]
        """,
    "sync": """
        from opa import get_instance, get_router

        router = get_router()

        @router.post("/notes/{text}")
        def add(text: str):
            get_instance("mongodb").get_default_database().notes.insert_one({"text": text})

        @router.get("/notes")
        def read():
            return [note["text"] for note in get_instance("mongodb").get_default_database().notes.find().sort("text")]
        """,
}


@pytest.fixture
def notes(project: Project) -> Callable[..., Project]:
    """A project with routes that write and read through a driver."""

    def make(driver: str, url: str, **opts: Any) -> Project:
        project.plugin("notes.py", NOTES["async" if "async" in driver else "sync"])
        project.component("MONGODB", driver, URL=f"{url}/{driver}", **opts)
        return project

    return make


def refusal(project: Project, driver: str, **opts: Any) -> str:
    """Why the application does not start with these options."""
    project.component("THING", driver, **opts)
    with pytest.raises(ComponentError) as caught, project.client():
        pass
    return str(caught.value)


@pytest.mark.parametrize("driver", CLIENTS)
def test_a_route_writes_and_reads(notes: Callable[..., Project], mongo_url: str, driver: str) -> None:
    with notes(driver, mongo_url).client() as client:
        assert isinstance(get_instance("mongodb"), CLIENTS[driver])
        for text in ("b", "a"):
            client.post(f"/notes/{text}").raise_for_status()
        assert client.get("/notes").json() == ["a", "b"]


@pytest.mark.parametrize("driver", CLIENTS)
def test_while_the_server_is_gone_a_route_answers_503_and_then_works_again(
    notes: Callable[..., Project], start_mongo: Callable[[], Server], driver: str
) -> None:
    server = start_mongo()
    with notes(driver, server.url).client() as client:
        assert client.get("/notes").json() == []
        server.kill()
        before = time.monotonic()
        assert client.get("/notes").status_code == 503
        assert time.monotonic() - before < 6
        server.start()
        wait_until(lambda: client.get("/notes").status_code == 200, seconds=10)


@pytest.mark.parametrize("driver", CLIENTS)
def test_requests_that_wait_are_let_go_once_it_is_known_that_the_server_hangs(
    notes: Callable[..., Project], start_mongo: Callable[[], Server], driver: str
) -> None:
    server = start_mongo()
    # The client itself would notice it in a minute.
    limits = {"CONNECTTIMEOUTMS": 60_000, "HEARTBEATFREQUENCYMS": 2000, "SERVERSELECTIONTIMEOUTMS": 60_000}
    with notes(driver, server.url, **limits).client() as client, ThreadPoolExecutor(15) as threads:
        assert client.get("/notes").status_code == 200
        server.hang()
        try:
            waiting = [threads.submit(client.get, "/notes") for _ in range(15)]
            time.sleep(0.5)
            get_component("mongodb").breaker.suspect()
            assert [request.result(40).status_code for request in waiting] == [503] * 15
            assert client.get("/notes").json() == {"detail": "component 'mongodb' does not answer"}
        finally:
            server.go_on()
        wait_until(lambda: client.get("/notes").status_code == 200, seconds=20)


def test_milliseconds_in_opts_are_milliseconds_to_the_client() -> None:
    with new_client(GuardedClient, {"URL": "mongodb://127.0.0.1:1", "SERVERSELECTIONTIMEOUTMS": 7000}) as client:
        assert client.options.server_selection_timeout == 7


def test_a_server_that_hangs_is_noticed_within_the_limits_of_the_driver() -> None:
    limits = arguments({"URL": "mongodb://127.0.0.1"})[1]
    assert limits["heartbeatfrequencyms"] + limits["connecttimeoutms"] <= 3000


@pytest.mark.parametrize("driver", CLIENTS)
def test_a_wrong_password_is_said_at_once_and_not_shown(project: Project, mongo_url: str, driver: str) -> None:
    text = refusal(project, driver, URL=mongo_url.replace("//", "//ada:hunter2@"))
    assert "authentication failed" in text.lower()
    assert "hunter2" not in text
    assert "tries" not in text


@pytest.mark.parametrize(
    "opts",
    [
        {"URL": "mongodb://ada@h/data"},
        {"URL": "mongodb://ada:other@h/data"},
        {"URL": "mongodb://h/data", "USERNAME": "ada"},
    ],
    ids=["user", "password", "option"],
)
def test_the_option_password_is_the_password_of_the_server_as_it_is_written(opts: dict[str, str]) -> None:
    with new_client(GuardedClient, {**opts, "PASSWORD": "p@ss/w%40:rd#"}, connect=False) as client:
        credentials = client.options.pool_options._credentials
    assert (credentials.username, credentials.password, credentials.source) == ("ada", "p@ss/w%40:rd#", "data")


def test_an_empty_option_password_leaves_that_of_the_url() -> None:
    with new_client(GuardedClient, {"URL": "mongodb://ada:inside@h/", "PASSWORD": ""}, connect=False) as client:
        assert client.options.pool_options._credentials.password == "inside"


@pytest.mark.parametrize("driver", CLIENTS)
@pytest.mark.parametrize(
    ("opts", "said"),
    [
        ({"URL": "http://u:hunter2@127.0.0.1"}, "it starts with mongodb://"),
        ({"URL": "mongodb://u:hunter2/x@127.0.0.1"}, "percent-encoded"),
        ({"URL": "mongodb://u:hunter2\u2100@127.0.0.1"}, "percent-encoded"),
        ({"URL": "mongodb://u:[hunter2@127.0.0.1"}, "percent-encoded"),
        ({"URL": "mongodb://u:hunter2@127.0.0.1:1/?maxPoolSizes=1"}, "Unknown option: maxpoolsizes"),
        ({"URL": "mongodb://u:hunter2@127.0.0.1:1/?maxPoolSize=many"}, "parameters"),
        ({"URL": "mongodb://127.0.0.1:1", "MAXPOOLSIZES": 1}, "Unknown option: maxpoolsizes"),
        ({"URL": "mongodb://127.0.0.1:1", "MAXPOOLSIZE": "many"}, "maxpoolsize"),
        ({"URL": "mongodb://127.0.0.1:1", "PASSWORD": "hunter2"}, "PASSWORD needs a user"),
        ({}, "OPTS has no URL"),
    ],
)
def test_an_option_that_is_of_no_use_is_named(
    project: Project, driver: str, opts: dict[str, object], said: str
) -> None:
    text = refusal(project, driver, **opts)
    assert said in text
    assert "'thing'" in text
    assert "hunter2" not in text


def test_a_parameter_in_the_url_wins_over_opts_and_opts_win_over_the_defaults() -> None:
    opts = {"URL": "mongodb://h/?connectTimeoutMS=7&maxPoolSize=3", "maxPoolSize": 4, "TZ_AWARE": True}
    assert arguments(opts)[1] == {"serverselectiontimeoutms": 3000, "heartbeatfrequencyms": 1000, "tz_aware": True}


@pytest.mark.parametrize("driver", CLIENTS)
def test_stopping_closes_every_connection(
    notes: Callable[..., Project], start_mongo: Callable[[], Server], driver: str
) -> None:
    server = start_mongo()
    # Polling, it has as many connections at any time.
    with MongoClient[dict[str, Any]](server.url, serverMonitoringMode="poll") as other:

        def connections() -> int:
            count: int = other.admin.command("serverStatus")["connections"]["current"]
            return count

        before = connections()
        with notes(driver, server.url).client() as client:
            client.get("/notes").raise_for_status()
            assert connections() > before
        wait_until(lambda: connections() <= before)
