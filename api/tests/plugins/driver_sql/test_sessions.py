"""Sessions in routes, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from starlette.testclient import TestClient

from opa import PoolUse
from tests.plugins.driver_sql.shop import use_shop
from tests.project import Project

pytestmark = pytest.mark.parametrize("kind", ["async", "sync"])
COMPONENTS = {"async": "sql", "sync": "sql_sync"}


@pytest.fixture
def client(project: Project) -> Iterator[TestClient]:
    use_shop(project, f"sqlite:///{project.folder / 'shop.db'}", POOL_SIZE=5, CONNECT_TIMEOUT=60, POOL_TIMEOUT=60)
    with project.client() as client:
        yield client


def pool(client: TestClient, kind: str) -> PoolUse:
    application: Any = client.app
    use: PoolUse = application.manager.optional_components[COMPONENTS[kind]].pools()["connections"]
    return use


def test_what_a_route_does_is_committed_unless_it_raises(client: TestClient, kind: str) -> None:
    assert client.post(f"/{kind}/a").status_code == 200
    assert client.post(f"/{kind}/b?status=409").status_code == 409
    assert client.post(f"/{kind}/c?status=many").status_code == 422
    assert client.get(f"/{kind}").json() == 1
    assert client.post("/answer/d").status_code == 400
    assert client.get(f"/{kind}").json() == 2
    assert client.post("/shared").json() == 3
    assert client.get(f"/{kind}").json() == 3
    assert pool(client, kind).in_use == 0


def test_a_commit_that_fails_is_no_success(client: TestClient, kind: str) -> None:
    client.post(f"/{kind}/a").raise_for_status()
    for path in (f"/{kind}/a", f"/{kind}/b?of=7", f"/{kind}/b?of=7"):  # the others are found by the commit alone
        with pytest.raises(IntegrityError):
            client.post(path)
    assert client.get(f"/{kind}").json() == 1
    assert client.post(f"/{kind}/b").status_code == 200
    assert pool(client, kind).in_use == 0


def test_a_savepoint_is_part_of_its_transaction_also_where_it_comes_first(client: TestClient, kind: str) -> None:
    assert client.post(f"/{kind}-nested/a?status=409").status_code == 409
    assert client.get(f"/{kind}").json() == 0
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: client.post(f"/{kind}-nested/a").status_code, range(40)))
    assert answers == [200] * 40  # nobody reads a number that another one takes: names are unique
    assert client.get(f"/{kind}").json() == 40
    assert pool(client, kind).in_use == 0


def test_a_session_that_is_kept_beyond_its_use_says_so(client: TestClient, kind: str) -> None:
    client.post(f"/{kind}/a")
    with pytest.raises(InvalidRequestError, match="permanently closed"):
        client.get(f"/{kind}-kept")
    assert pool(client, kind).in_use == 0


def test_more_requests_at_once_than_connections_wait_for_one_another(client: TestClient, kind: str) -> None:
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda number: client.post(f"/{kind}/{number}").status_code, range(200)))
    assert answers == [200] * 200
    assert client.get(f"/{kind}").json() == 200
    use = pool(client, kind)
    assert (use.in_use, use.limit) == (0, 5)
    assert 1 <= use.idle <= 5
