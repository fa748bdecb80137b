"""PostgreSQL that is killed, hangs, refuses, or has not enough of something; and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from opa.errors import ComponentError
from tests.plugins.driver_sql.shop import use_shop
from tests.postgres import PASSWORD, Postgres
from tests.project import Project
from tests.serve.process import wait_until

pytestmark = pytest.mark.docker
KINDS = ("async", "sync")
NAMES = {"async": "sql", "sync": "sql_sync"}


@pytest.fixture
def client(project: Project, postgres: Postgres) -> Iterator[TestClient]:
    use_shop(project, postgres.new_database(), POOL_SIZE=5, STATEMENT_TIMEOUT=30)
    with project.client(raise_server_exceptions=False) as client:
        yield client


def works(client: TestClient) -> Callable[[], bool]:
    return lambda: all(client.get(f"/{kind}").status_code == 200 for kind in KINDS)


def pools(client: TestClient) -> dict[str, int]:
    """Connections that are in use."""
    application: Any = client.app
    components = application.manager.optional_components
    return {kind: components[NAMES[kind]].pools()["connections"].in_use for kind in KINDS}


def outages(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What the asynchronous component takes for one from now on; its breaker does not hear of them."""
    application: Any = client.app
    told: list[BaseException] = []
    monkeypatch.setattr(application.manager.optional_components["sql"].breaker, "failed", told.append)
    return told


def test_while_the_server_is_gone_a_route_answers_503_and_then_works_again(
    client: TestClient, postgres: Postgres, capfd: pytest.CaptureFixture[str]
) -> None:
    for kind in KINDS:
        assert client.post(f"/{kind}/{kind}").status_code == 200
        assert client.post(f"/{kind}/{kind}").status_code == 500  # that is no outage
    assert client.get("/async").json() == client.get("/sync").json() == 2
    with ThreadPoolExecutor(2) as threads:
        sleeping = [threads.submit(client.get, f"/{route}/60") for route in ("sleep", "sleep-sync")]
        wait_until(lambda: all(pools(client).values()), what="both routes sleep")
        postgres.kill()
        try:
            assert [request.result(20).status_code for request in sleeping] == [503, 503]
            for kind in KINDS:
                for path in (f"/{kind}", f"/{kind}", f"/{kind}"):
                    answer = client.get(path)
                    assert answer.status_code == 503
                    assert answer.json() == {"detail": f"component '{NAMES[kind]}' does not answer"}
            assert client.get("/other").status_code == 200
        finally:
            postgres.start()
    wait_until(works(client), seconds=20)
    assert client.get("/async").json() == 2
    assert not any(pools(client).values())
    assert PASSWORD not in capfd.readouterr().err


def test_requests_that_wait_are_let_go_where_the_server_hangs_and_not_where_they_take_long(
    client: TestClient, postgres: Postgres
) -> None:
    assert works(client)()
    with ThreadPoolExecutor(20) as threads:
        # Longer than a call may wait before the database is asked whether it answers.
        long = [threads.submit(client.get, f"/{route}/4.5") for route in ("sleep", "sleep-sync")]
        assert [request.result(30).status_code for request in long] == [200, 200]
        postgres.hang()
        try:
            waiting = [threads.submit(client.get, f"/{kind}") for kind in KINDS for _ in range(10)]
            assert {request.result(60).status_code for request in waiting} == {503}
        finally:
            postgres.go_on()
    wait_until(works(client), seconds=20)
    assert not any(pools(client).values())


def test_a_connection_that_has_died_while_it_was_idle_fails_no_request(client: TestClient, postgres: Postgres) -> None:
    assert works(client)()
    time.sleep(1.1)  # as long as a connection is idle that is tested
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
    assert [client.get(f"/{kind}").status_code for kind in KINDS] == [200, 200]


def test_a_request_that_is_cancelled_is_rolled_back_and_no_outage(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = outages(client, monkeypatch)
    client.post("/cancelled/a")
    assert client.get("/impatient/0.1").status_code == 504  # cancelled while it waits for the database
    assert client.get("/impatient/0.1?catch=true").status_code == 500  # what it had done before is lost
    assert told == []
    assert client.get("/async").json() == 0
    assert not any(pools(client).values())


def test_a_failure_that_is_caught_is_no_success_where_the_database_has_undone_all(client: TestClient) -> None:
    for kind in KINDS:
        assert client.post(f"/{kind}-caught/{kind}").status_code == 500
        assert client.post(f"/{kind}-caught/{kind}?nested=true").status_code == 200
        assert client.post(f"/{kind}-caught/{kind}?nested=true").status_code == 500  # of what is not caught
    assert client.get("/async").json() == 2
    assert not any(pools(client).values())


def test_a_task_that_is_left_behind_with_a_session_costs_no_connection_and_fails_no_other(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = outages(client, monkeypatch)
    for path, status in (("/left/200", 500), ("/left/409", 409), ("/left/409?cold=true", 409)) * 3:
        assert client.get(path).status_code == status
        assert client.get("/async").json() == 0
    assert told == []
    wait_until(lambda: not any(pools(client).values()))
    assert works(client)()


def test_a_task_left_behind_that_waits_for_an_answer_is_no_outage_and_no_other_request_gets_its_connection(
    project: Project, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_shop(project, postgres.new_database(), POOL_SIZE=1, STATEMENT_TIMEOUT=30)
    with project.client(raise_server_exceptions=False) as client:
        told = outages(client, monkeypatch)
        application: Any = client.app
        engine = application.manager.optional_components["sql"].util.engine.sync_engine
        opened: list[object] = []
        closed: list[object] = []
        event.listen(engine, "connect", lambda connection, _: opened.append(connection))
        event.listen(engine, "close", lambda connection, _: closed.append(connection))
        # It waits for that of a statement, for one that never comes, and for that of BEGIN.
        for query in ("", "?cut=true", "?cold=true"):
            assert client.get(f"/left-unanswered/a{query}").status_code == 409
            assert client.get("/async").json() == 0
            assert client.get("/left-error").json() not in ("NoneType", "DatabaseGoneError")
        assert client.get("/terminated").status_code == 200
        assert client.get("/async").json() == 0
        assert told == []
        wait_until(lambda: not any(pools(client).values()))
        assert closed
        assert len(closed) == len({id(connection) for connection in closed})  # twice would lose another
        opened.clear()
        assert client.post("/async/a?status=409").status_code == 409
        assert client.get("/async").json() == 0
        # Who goes on to read, row by row, does so in no transaction of another request.
        for kind, said in (("async", "AssertionError"), ("sync", "InterfaceError")):
            assert client.get(f"/{kind}-left-reading").json() == 60
            assert client.post(f"/{kind}-read-on/{kind}").json() == said
        assert client.get("/async").json() == 2
        assert opened == []  # one that nobody uses any more stays


def test_no_free_connection_is_503_and_a_statement_without_end_is_500(project: Project, postgres: Postgres) -> None:
    use_shop(project, postgres.new_database(), POOL_SIZE=1, POOL_TIMEOUT=1, STATEMENT_TIMEOUT=4)
    with project.client(raise_server_exceptions=False) as client, ThreadPoolExecutor(2) as threads:
        sleeping = [threads.submit(client.get, f"/{route}/60") for route in ("sleep", "sleep-sync")]
        wait_until(lambda: all(pools(client).values()), what="both routes sleep")
        assert [client.get(f"/{kind}").status_code for kind in KINDS] == [503, 503]
        assert [request.result(20).status_code for request in sleeping] == [500, 500]
        assert works(client)()


@pytest.mark.parametrize("driver", ["sqlalchemy-async", "sqlalchemy"])
def test_a_wrong_password_is_said_at_once_and_not_shown(project: Project, postgres: Postgres, driver: str) -> None:
    for url, said in (
        (postgres.url(password="hunter3"), "password authentication failed"),
        (postgres.url("nowhere"), 'database "nowhere" does not exist'),
    ):
        project.component("THING", driver, URL=url)
        with pytest.raises(ComponentError, match=said) as caught, project.client():
            pass
        assert "hunter" not in str(caught.value)
        assert "within" not in str(caught.value)  # it was tried once
