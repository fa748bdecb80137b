from __future__ import annotations

import pytest

from opa.checks.mounts import mounts_without_prefix
from tests.project import Project

INNER = """
    from starlette.staticfiles import StaticFiles
    from opa import get_router

    inner = get_router(prefix="/in")
    inner.mount("/files", StaticFiles(directory="/"))
    router = get_router(prefix="/p")
    router.include_router(inner, prefix="/more")
"""


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.plugins), "…") for mistake in mounts_without_prefix(project.app())]


def test_a_mount_without_the_prefix_of_its_router_is_reported(project: Project) -> None:
    project.plugin(
        "a.py",
        "from fastapi import FastAPI\nfrom opa import get_router\n"
        "router = get_router(prefix='/p')\nrouter.mount('/admin', FastAPI())\n",
    )
    assert told(project) == [
        "what plugin 'a' mounts is served at /admin, not at /p/admin, since the prefix of a router does not apply to "
        "what it mounts (…/a.py). Mount it at /p/admin, or remove the prefix"
    ]


def test_a_mount_in_an_included_router_is_reported_with_the_path_where_it_is_served(project: Project) -> None:
    project.plugin("a.py", INNER)
    (line,) = told(project)
    assert "is served at /p/more/files, not at /p/more/in/files" in line
    with project.client() as client:
        assert client.get("/p/more/files/etc/hostname").status_code == 200
        assert client.get("/p/more/in/files/etc/hostname").status_code == 404


@pytest.mark.parametrize(("prefix", "path"), [("", "/admin"), ("/p", "/p/admin"), ("/p", "/p")])
def test_a_mount_where_it_is_meant_to_be_is_not_reported(project: Project, prefix: str, path: str) -> None:
    project.plugin(
        "a.py",
        "from fastapi import FastAPI\nfrom opa import get_router\n"
        f"router = get_router(prefix={prefix!r})\nrouter.mount({path!r}, FastAPI())\n",
    )
    assert told(project) == []
