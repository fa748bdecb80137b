"""A project whose components talk to the embedded redis and mongo, both empty."""

from __future__ import annotations

import redis
from pymongo import MongoClient

from tests.project import Project


def use_stores(project: Project, redis_url: str, mongo_url: str) -> None:
    """Empty the stores, and point the components at them."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with MongoClient[dict[str, object]](mongo_url) as mongo:
        mongo.drop_database(mongo.get_default_database("opa"))
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    project.component("WALRUS", "redis-walrus", URL=redis_url)
    project.component("MONGODB", "mongodb-async-motor", URL=mongo_url)
