from __future__ import annotations

import pytest

from opa.process.health_target import operating_address
from tests.project import Project


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, ("127.0.0.1", 8000)),
        ({"HOST": "0.0.0.0", "PORT": 81}, ("127.0.0.1", 81)),
        ({"HOST": "10.0.0.7", "OPERATING_PORT": 9000}, ("127.0.0.1", 9000)),
        ({"OPERATING_HOST": "::", "OPERATING_PORT": 9000}, ("::1", 9000)),
        ({"OPERATING_HOST": "10.0.0.7", "OPERATING_PORT": 9000}, ("10.0.0.7", 9000)),
    ],
)
def test_the_operating_routes_are_asked_for_where_the_settings_put_them(
    project: Project, settings: dict[str, object], address: tuple[str, int]
) -> None:
    project.settings(**settings)

    assert operating_address(project.config()) == address
