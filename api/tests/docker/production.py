"""What holds of a stack in production, whichever compose files it is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from tests.docker.engine import docker

Compose = Callable[..., str]
"""Runs `docker compose` with these words in the folder of the stack."""

SERVICES = ("redis", "mongo", "rabbitmq")

_WITH_PASSWORDS_OF_DEVELOPMENT = """
import json, amqp, pymongo, redis

def mongo(user, database):
    with pymongo.MongoClient(f"mongodb://{user}:{user}@mongo/{database}") as client:
        client.get_default_database().list_collection_names()

tries = [
    ("redis", redis.AuthenticationError, lambda: redis.Redis("redis", password="redis").ping()),
    ("rabbitmq", amqp.AccessRefused, lambda: amqp.Connection("rabbitmq", "rabbitmq", "rabbitmq").connect()),
    ("mongo", pymongo.errors.OperationFailure, lambda: mongo("mongo", "opa")),
    ("mongo as admin", pymongo.errors.OperationFailure, lambda: mongo("mongo", "admin")),
    ("mongo as root", pymongo.errors.OperationFailure, lambda: mongo("root", "admin")),
]
let_in = []
for name, refused, connect in tries:
    try:
        connect()
    except refused:
        continue
    let_in.append(name)
print(json.dumps(let_in))
"""


def inspected(project: str, service: str, template: str) -> str:
    """What `docker inspect` says of the first container of a service."""
    return docker("inspect", "-f", template, f"{project}-{service}-1").strip()


def let_in_with_passwords_of_development(compose: Compose) -> list[str]:
    """The services that accept a password that everyone knows."""
    names: list[str] = json.loads(compose("exec", "-T", "api", "python", "-c", _WITH_PASSWORDS_OF_DEVELOPMENT))
    return names


def published(project: str, services: Iterable[str]) -> list[tuple[str, str, str]]:
    """Service, port in the container, and address of this machine, of all that is published."""
    return [
        (service, port, address["HostIp"])
        for service in services
        for port, addresses in json.loads(inspected(project, service, "{{json .HostConfig.PortBindings}}")).items()
        for address in addresses
    ]


def assert_is_of_production_without_rights(project: str, service: str) -> None:
    """See that a service of ours has the settings of production, and no more rights than it needs."""
    assert "ENV=production" in json.loads(inspected(project, service, "{{json .Config.Env}}"))
    template = "{{json .HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
    assert inspected(project, service, template) == "true [ALL] [no-new-privileges:true]"


def where_secrets_are_shown(
    secrets: Mapping[str, str], project: str, services: Iterable[str], compose: Compose
) -> list[tuple[str, str]]:
    """The secrets, by name, that stand where people look who may not know them, and where that is."""
    shown = {
        "docker inspect": "".join(inspected(project, name, "{{json .}}") for name in services),
        "docker compose config": compose("config"),
        "logs": compose("logs", "--no-color"),
        "opa config": compose("exec", "-T", "api", "opa", "config"),
        "command lines": compose("top"),
    }
    # The beginning, which JSON and URLs write as it is.
    parts = {name: value.strip().removeprefix("flower:")[:16] for name, value in secrets.items()}
    return [(name, where) for name, part in parts.items() for where, text in shown.items() if part in text]


def secrets_in(listing: str) -> dict[str, str]:
    """The contents by name, of what `tail -n +1 *` prints."""
    return dict(part.split(" <==\n", 1) for part in listing.strip().removeprefix("==> ").split("\n\n==> "))
