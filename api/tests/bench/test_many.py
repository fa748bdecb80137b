from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fastapi.routing import APIRoute

from bench.many import many
from tests.project import Project

API = Path(__file__).parents[2]
LAST = """
from bench.bare_many import app
last = app.routes[-1]
print(last.original_router.routes[-1].path)
"""


def test_the_last_path_is_of_the_route_that_both_applications_try_last(project: Project) -> None:
    with many(12, 2) as modules:
        environment = {**os.environ, **modules.bare.environment}
        bare = subprocess.run(
            [sys.executable, "-c", LAST], env=environment, cwd=API, capture_output=True, text=True, check=True
        ).stdout.strip()
        project.settings(PLUGIN_PATHS=[str(modules.folder)])
        routes = (route for route, _ in project.app().routes_with_routers() if isinstance(route, APIRoute))
        *_, stack = (route.path for route in routes if "{x}" in route.path)
        assert {bare, stack} == {modules.last_path.removesuffix("1") + "{x}"} == {"/p9/r1/{x}"}
