from __future__ import annotations

import pytest

from opa.errors import ComponentError
from tests.project import Project


@pytest.mark.parametrize(
    ("option", "url", "told"),
    [
        ("BACKEND_URL", "rediss://:hunter2#@cache.invalid:6380/1", "its port is no number, or too large; / . # @ in a"),
        ("BACKEND_URL", "redis://:hunter2@cache.invalid:99999/1", "its port is no number, or too large"),
        ("BACKEND_URL", "redis://:hunter2@[::1/1", "brackets that do not fit"),
        (
            "BACKEND_URL",
            "redis://:hunter2@cache.invalid/x",
            "the database that it names, behind the host, is no number",
        ),
        ("BROKER_URL", "redis://:hunter2@cache.invalid/x", "the database that it names, behind the host, is no number"),
        ("BACKEND_URL", "redis://:hunter2@h/1?ssl_cert_reqs=required", "its parameter ssl_cert_reqs is for rediss://"),
        ("BACKEND_URL", "redis://:hunter2@h/1?health_check_interval=often", "invalid literal .* 'often'"),
        (
            "BROKER_URL",
            "amqps://u:hunter2@mq.invalid//?ssl_cert_reqs=perhaps",
            "ssl_cert_reqs is none of required, opt",
        ),
        ("BROKER_URL", "rabbit://u:hunter2@mq.invalid//", "Celery does not know rabbit://"),
        ("BACKEND_URL", "mongo://u:hunter2@db.invalid/", "Celery does not know mongo://"),
        ("BACKEND_URL", "hunter2", "it does not start with a scheme"),
    ],
)
def test_an_error_of_a_url_says_what_is_wrong_in_it_and_not_the_password(
    project: Project, option: str, url: str, told: str
) -> None:
    project.plugin("a.py", "from opa import task\n@task\ndef run(): ...\n")
    project.component("CELERY", "celery", **{"BROKER_URL": "amqp://mq.invalid//", option: url})
    with pytest.raises(ComponentError, match=f"{option} cannot be used: .*{told}") as caught:
        project.prepare()
    assert "hunter2" not in str(caught.value)
