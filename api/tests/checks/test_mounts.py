from __future__ import annotations

import pytest

from opa.checks.mounts import mounts_without_dependencies, mounts_without_prefix
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


@pytest.mark.parametrize(
    "router",
    [
        "get_router(dependencies=[depends])\nrouter.mount('/sub', FastAPI())",
        "get_router()\ninner = APIRouter(dependencies=[depends])\ninner.mount('/sub', FastAPI())\n"
        "router.include_router(inner)",
        "get_router()\ninner = APIRouter()\ninner.mount('/sub', FastAPI())\n"
        "router.include_router(inner, dependencies=[depends])",
    ],
    ids=["its router", "a router in it", "where that is included"],
)
def test_a_mount_that_dependencies_of_its_router_do_not_protect_is_reported(project: Project, router: str) -> None:
    head = "from fastapi import APIRouter, Depends, FastAPI\nfrom opa import get_router\ndepends = Depends(lambda: 1)\n"
    project.plugin("a.py", f"{head}router = {router}\n")
    (finding,) = mounts_without_dependencies(project.app())
    assert "what plugin 'a' mounts at /sub is served without the dependencies of its router" in str(finding)


def test_a_route_of_starlette_that_dependencies_of_its_router_do_not_protect_is_reported(project: Project) -> None:
    project.plugin(
        "a.py",
        """
        from fastapi import APIRouter, Depends
        from opa import get_router

        def plain(request): ...
        async def socket(websocket): ...

        router = get_router(dependencies=[Depends(lambda: 1)])
        inner = APIRouter()
        inner.add_route("/plain", plain)
        router.include_router(inner, prefix="/in")
        router.add_websocket_route("/socket", socket)

        @router.get("/protected")
        def protected(): ...
        """,
    )
    problems = [finding.problem for finding in mounts_without_dependencies(project.app())]
    assert [problem.partition(" at ")[2].split()[0] for problem in problems] == ["/in/plain", "/socket"]
    assert all("what plugin 'a' adds at" in problem for problem in problems)


def test_a_mount_in_a_router_without_dependencies_is_not_reported(project: Project) -> None:
    project.plugin("a.py", INNER)
    assert list(mounts_without_dependencies(project.app())) == []
