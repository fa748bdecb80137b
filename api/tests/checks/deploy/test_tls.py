from __future__ import annotations

import pytest

from opa.checks.deploy.tls import unverified_servers
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("rediss://cache/0?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("rediss://cache/0?ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs"),
        ("rediss://cache/0?ssl_check_hostname=false", "ssl_check_hostname"),
        ("mongodb://db/x?tls=true&tlsAllowInvalidCertificates=true", "tlsallowinvalidcertificates"),
        ("mongodb://db/x?tlsInsecure=true;tlsAllowInvalidHostnames=true", "tlsinsecure, tlsallowinvalidhostnames"),
        ("rediss://cache/0?ssl_cert_reqs=required", None),
        ("mongodb://db/x?tlsInsecure=false", None),
        ("mongodb://db/tlsInsecure=true", None),
    ],
)
def test_a_certificate_that_is_not_verified_is_reported(project: Project, url: str, named: str | None) -> None:
    project.plugin("any.py", "from opa import Driver\nclass Any(Driver):\n  name = 'any'\n")
    project.component("cache", "any", URL=url)

    problems = found(project, unverified_servers)

    start = f"component 'cache' does not verify the certificate of its server ({named}): "
    assert [problem.startswith(start) for problem in problems] == [True] * (named is not None)


def test_certificates_of_the_broker_that_are_not_verified_are_reported(project: Project) -> None:
    project.component("queue", "celery", BROKER_URL="amqps://queue//", BACKEND_URL="rediss://results")
    project.settings(
        CELERY_BROKER_USE_SSL={"cert_reqs": "CERT_NONE"}, CELERY_REDIS_BACKEND_USE_SSL={"ssl_cert_reqs": "required"}
    )

    (problem,) = found(project, unverified_servers)

    assert "(cert_reqs)" in problem


def test_options_beside_the_url_say_it_as_well(project: Project) -> None:
    project.component("cache", "redis-aioredis", URL="rediss://cache", SSL_CERT_REQS="none")
    project.component("queue", "celery", BROKER_URL="rediss://queue", BROKER_USE_SSL={"ssl_cert_reqs": "CERT_NONE"})

    assert ["(ssl_cert_reqs)" in problem for problem in found(project, unverified_servers)] == [True, True]


def test_use_ssl_without_more_is_verified(project: Project) -> None:
    project.component("queue", "celery", BROKER_URL="amqp://queue//")
    project.settings(CELERY_BROKER_USE_SSL=True)

    assert found(project, unverified_servers) == []


def test_each_url_of_a_list_is_looked_at(project: Project) -> None:
    urls = ["rediss://one?ssl_cert_reqs=required", "rediss://two?ssl_cert_reqs=none"]
    project.component("queue", "celery", BROKER_URL=urls)

    assert ["(ssl_cert_reqs)" in problem for problem in found(project, unverified_servers)] == [True]
