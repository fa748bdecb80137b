from __future__ import annotations

import pytest

from opa.checks.deploy.proxy import unknown_proxy
from tests.checks.deploy.deployments import found
from tests.project import Project


@pytest.mark.parametrize(
    ("proxies", "problem"),
    [
        ("", "is not set"),
        (" , ", "is not set"),
        ("10.0.0.1, *", 'is "*"'),
        ("0.0.0.0/0", "has 0.0.0.0/0,"),
        ("0.0.0.0/1,128.0.0.0/1", "has 0.0.0.0/0,"),
        (",".join(f"{first}.0.0.0/8" for first in range(256)), "has 0.0.0.0/0,"),
        ("10.0.0.1, ::/0", "has ::/0,"),
        ("2000::/3", "has 2000::/3,"),
        ("::ffff:0:0/96", "has ::ffff:0"),  # Python 3.13 writes the rest in another way
        ("10.0.0.1", None),
        ("10.0.0.0/8, fc00::/7, 172.16.0.0/12, ::1", None),
        ("/run/proxy.sock", None),
    ],
)
def test_a_proxy_that_is_not_named_or_is_anyone_is_reported(
    project: Project, proxies: str, problem: str | None
) -> None:
    problems = found(project, unknown_proxy, FORWARDED_ALLOW_IPS=proxies)

    assert [each.startswith(f"FORWARDED_ALLOW_IPS {problem}") for each in problems] == [True] * (problem is not None)
