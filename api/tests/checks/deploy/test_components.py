from __future__ import annotations

from typing import Any

import pytest

from opa.checks.deploy.components import component_passwords
from tests.checks.deploy.deployments import found
from tests.project import Project

KEY = "5e1f0c9a7b3d48e2a6d4f8c1b09e7352"
KNOWN = "has a password that everyone knows, such as the compose files' default"
GUEST = "has no password in a URL, for which guest is sent: a password that everyone knows"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://cache:6379/0", "has no password"),
        ("redis://user@cache:6379/0", "has no password"),
        ("redis://:redis@cache:6379/0", "has a password that everyone knows, such as the compose files' default"),
        ("redis://:%72edis@cache:6379/0", "has a password that everyone knows, such as the compose files' default"),
        ("redis://:Changeme1@cache", "has a password that everyone knows, such as the compose files' default"),
        ("redis://:x8Kq2v@cache", "has a password that is guessed: it has fewer than 12 characters"),
        ("redis://:aaaaaaaaaaaaaaaa@cache", "has a password that is guessed: it has fewer than 4 different characters"),
        ("redis://cache?password=redis", "has a password that everyone knows, such as the compose files' default"),
        (f"redis://cache?password={KEY}", None),
        (f"redis://:{KEY}@cache:6379/0", None),
        ("unix:///run/redis.sock", None),
        ("rediss://cache:6379/0?ssl_certfile=/run/secrets/cert", None),
        ("rediss://cache:6379/0?ssl_certfile=/run/secrets/cert&ssl_keyfile=/run/secrets/key", None),
        ("rediss://cache:6379/0?ssl_certfile=", "has no password"),
        ("rediss://cache:6379/0?ssl_cert_reqs=none", "has no password"),
        ("rediss://cache:6379/0?ssl_ca_certs=/etc/ca.pem", "has no password"),
        ("mongodb://db/concerts", "has no password"),
        ("mongodb://db/x?tls=true&tlsCertificateKeyFile=/run/secrets/both.pem", None),
    ],
)
def test_a_password_of_a_component_that_everyone_knows_is_reported(
    project: Project, url: str, problem: str | None
) -> None:
    project.plugin("any.py", "from opa import Driver\nclass Any(Driver):\n  name = 'any'\n")
    project.component("cache", "any", URL=url)

    assert found(project, component_passwords) == ([f"component 'cache' {problem}"] if problem else [])


def test_each_of_several_servers_is_looked_at(project: Project) -> None:
    project.component(
        "queue", "celery", BROKER_URL=f"amqp://a:{KEY}@one//;amqp://guest:guest@two//", BACKEND_URL="redis://r"
    )

    assert found(project, component_passwords) == [
        "component 'queue' has a password that everyone knows, such as the compose files' default",
        "component 'queue' has no password",
    ]


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"URL": "redis://cache", "PASSWORD": KEY}, []),
        ({"URL": "redis://:redis@cache", "PASSWORD": KEY}, []),
        ({"URL": f"redis://:{KEY}@cache", "PASSWORD": ""}, []),
        ({"URL": "redis://cache", "PASSWORD": ""}, ["has no password"]),
        ({"URL": "redis://cache", "PASSWORD": "x8Kq2v"}, ["has a password that is guessed: it has fewer than 12 char"]),
        ({"BROKER_URL": "amqp://a@q", "BROKER_PASSWORD": KEY, "BACKEND_URL": "redis://r"}, ["has no password"]),
        ({"BACKEND_URL": "redis://r", "BACKEND_PASSWORD": KEY, "BROKER_URL": "amqp://a@q"}, ["has no password"]),
    ],
)
def test_a_password_beside_a_url_counts_in_the_place_of_that_in_it(
    project: Project, options: dict[str, str], problems: list[str]
) -> None:
    project.component("cache", "celery" if "BROKER_URL" in options else "redis-aioredis", **options)

    reported = found(project, component_passwords)
    assert len(reported) == len(problems)
    assert all(problem in line for problem, line in zip(problems, reported, strict=True))


def test_a_component_that_is_off_or_not_mentioned_is_not_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.component("cache", "redis-aioredis", load="no", URL="redis://cache")
    project.settings()
    assert found(project, component_passwords) == []

    (project.folder / "settings" / "00-test.json").unlink()
    monkeypatch.setenv("OPA_PLUGIN_PATHS", str(project.plugins))
    assert found(project, component_passwords) == []


def test_a_certificate_that_the_client_shows_to_the_broker_counts_as_a_password(project: Project) -> None:
    project.component("queue", "celery", BROKER_URL="amqps://queue//")
    project.settings(CELERY_BROKER_USE_SSL={"keyfile": "/run/secrets/key", "certfile": "/run/secrets/cert"})
    assert found(project, component_passwords) == []

    project.settings(CELERY_BROKER_USE_SSL={"ca_certs": "/etc/ca.pem"})
    assert found(project, component_passwords) == [f"component 'queue' {GUEST}"]

    project.component(
        "queue",
        "celery",
        BROKER_URL=f"amqps://a:{KEY}@queue//",
        BACKEND_URL="rediss://r",
        BROKER_USE_SSL={"certfile": "c"},
    )
    assert found(project, component_passwords) == ["component 'queue' has no password"]


def test_each_url_of_a_list_is_looked_at(project: Project) -> None:
    project.component("queue", "celery", BROKER_URL=[f"amqp://a:{KEY}@one//", "amqp://two//"])

    assert found(project, component_passwords) == [f"component 'queue' {GUEST}"]


def test_a_password_that_is_a_number_is_looked_at(project: Project) -> None:
    project.plugin("any.py", "from opa import Driver\nclass Any(Driver):\n  name = 'any'\n")
    project.component("cache", "any", URL="redis://cache", PASSWORD=123456)

    (problem,) = found(project, component_passwords)

    assert problem == "component 'cache' has a password that is guessed: it has fewer than 12 characters"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("amqp://queue//", GUEST),
        ("amqp://guest@queue//", GUEST),
        ("amqp://mary@queue//", GUEST),  # with her name as well
        ("amqp://", GUEST),
        ("pyamqp://mary:guest@queue//", KNOWN),
        (f"amqp://mary:{KEY}@queue//", None),
        ("memory://", None),
    ],
)
def test_a_url_of_rabbitmq_without_a_password_has_one_that_everyone_knows(
    project: Project, url: str, problem: str | None
) -> None:
    project.component("queue", "celery", BROKER_URL=url, BACKEND_URL=f"redis://:{KEY}@r")

    assert found(project, component_passwords) == ([f"component 'queue' {problem}"] if problem else [])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"REDIS_PASSWORD": "redis"}, KNOWN),
        ({"URL": f"redis://:{KEY}@r", "SENTINEL_KWARGS": {"password": "redis"}}, KNOWN),
        ({"URL": f"redis://:{KEY}@r", "CONNECTION": {"nodes": [{"host": "a"}, {"passwd": "Changeme1"}]}}, KNOWN),
        ({"URL": f"redis://:{KEY}@r", "CONNECTION": {"replicas": ["redis://:redis@two"]}}, KNOWN),
        ({"URL": f"redis://:{KEY}@r", "TLS": {"ssl_password": "redis"}}, None),  # it opens a file
        ({"URL": f"redis://:{KEY}@r", "CONNECTION": {"password": "x8Kq2v"}}, "has a password that is guessed"),
        ({"URL": "redis://r", "REDIS_PASSWORD": KEY}, None),
        ({"URL": f"redis://:{KEY}@r", "CONNECTION": {"password": None, "depth": [[[]]]}}, None),
    ],
)
def test_passwords_beside_and_below_the_options_are_looked_at(
    project: Project, options: dict[str, Any], problem: str | None
) -> None:
    project.plugin("any.py", "from opa import Driver\nclass Any(Driver):\n  name = 'any'\n")
    project.component("cache", "any", **options)

    reported = found(project, component_passwords)

    assert len(reported) == (problem is not None)
    assert all(line.startswith(f"component 'cache' {problem}") for line in reported)


def test_of_several_passwords_one_that_everyone_knows_is_told(project: Project) -> None:
    project.plugin("any.py", "from opa import Driver\nclass Any(Driver):\n  name = 'any'\n")
    project.component("cache", "any", URL="redis://:x8Kq2v@one;redis://:redis@two")

    assert found(project, component_passwords) == [f"component 'cache' {KNOWN}"]


@pytest.mark.parametrize(
    "setting",
    [
        {"CELERY_BROKER_URL": "amqp://a:guest@one//"},
        {"CELERY_BROKER_READ_URL": f"amqp://a:{KEY}@one//;amqp://a:guest@two//"},
        {"CELERY_BROKER_WRITE_URL": ["redis://:redis@one"]},
        {"CELERY_RESULT_BACKEND": "db+postgresql://opa:admin@db/opa"},
        {"CELERY_REDIS_PASSWORD": "redis"},
        {"CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS": {"sentinel_kwargs": {"password": "redis"}}},
        {"CELERY_BROKER_TRANSPORT_OPTIONS": {"sentinel_kwargs": {"password": "redis"}}},
    ],
)
def test_settings_of_celery_are_looked_at(project: Project, setting: dict[str, Any]) -> None:
    project.settings(**setting)
    (name,) = setting

    assert found(project, component_passwords) == [f"setting {name} {KNOWN}"]


def test_a_password_of_celery_for_results_counts_where_their_url_has_none(project: Project) -> None:
    project.settings(CELERY_RESULT_BACKEND="redis://r", CELERY_REDIS_PASSWORD=KEY)
    assert found(project, component_passwords) == []

    project.settings(CELERY_BROKER_URL="redis://r", CELERY_REDIS_PASSWORD=KEY)
    assert found(project, component_passwords) == ["setting CELERY_BROKER_URL has no password"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CELERY_BROKER_URL", f"amqp://a:{KEY}@one//;amqp://a:guest@two//"),
        ("CELERY_BROKER_READ_URL", "amqp://a:guest@two//"),
        ("CELERY_BROKER_WRITE_URL", "amqp://a:guest@two//"),
        ("CELERY_RESULT_BACKEND", "redis://:redis@r/1"),
        ("CELERY_COMMAND", "--broker=redis://:redis@r/1 worker"),
        ("FLOWER_BROKER_API", "http://guest:guest@rabbitmq:15672/api/"),
    ],
)
def test_variables_that_celery_and_flower_read_by_themselves_are_looked_at(
    project: Project, variable: str, value: str
) -> None:
    assert found(project, component_passwords, **{variable: value}) == [f"variable {variable} {KNOWN}"]


def test_arguments_of_tasks_in_the_settings_are_no_passwords_of_servers(project: Project) -> None:
    entry = {"task": "jobs.noop", "schedule": 60, "kwargs": {"password": "redis", "url": "redis://:redis@r"}}
    project.plugin("jobs.py", "from opa import task\n\n@task\ndef noop(password, url): ...\n")
    project.settings(CELERY_BEAT_SCHEDULE={"a": entry})

    assert found(project, component_passwords) == []
