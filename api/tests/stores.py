"""Projects whose components talk to the embedded servers."""

from __future__ import annotations

import re

import pytest
import redis
from pymongo import MongoClient

from tests.project import Project

ASKS_FOR = re.compile(
    r"""(?:Component|get_instance|get_component|get_util)\(["'](\w+)["']\)|^component = "(\w+)"$""", re.MULTILINE
)


def use_stores(project: Project, text: str, request: pytest.FixtureRequest) -> None:
    """Point the components that `text` asks for at the embedded servers, at an empty database there.

    A server that `text` has no use for is not asked for, and so the test is not skipped where there is none.
    """
    names = {name.lower() for found in ASKS_FOR.findall(text) for name in found if name}
    if "$ opa keys" in text:
        names.add("aioredis")
    if "$ opa migrate make" in text:
        names.add("sql")
    if names & {"aioredis", "walrus"}:
        _use_redis(project, f"{request.getfixturevalue('redis_url')}/9")
    if "celery" in names:
        url = request.getfixturevalue("redis_url")
        project.component("CELERY", "celery", BROKER_URL=f"{url}/10", BACKEND_URL=f"{url}/11")
    if names & {"sql", "sql_sync"}:
        url = f"sqlite:///{project.folder / 'sql.db'}"
        project.component("SQL", "sqlalchemy-async", URL=url)
        project.component("SQL_SYNC", "sqlalchemy", URL=url)
    if "mongodb" in names:
        _use_mongo(project, f"{request.getfixturevalue('mongo_url')}/pages")


def _use_redis(project: Project, url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    project.component("AIOREDIS", "redis-aioredis", URL=url)
    project.component("WALRUS", "redis-walrus", URL=url)


def _use_mongo(project: Project, url: str) -> None:
    with MongoClient[dict[str, object]](url) as client:
        client.drop_database(client.get_default_database())
    project.component("MONGODB", "mongodb-async-motor", URL=url)
