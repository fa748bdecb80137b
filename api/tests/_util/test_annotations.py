from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from opa.checks.types import unresolved_types
from tests.project import Project

HEAD = """
from __future__ import annotations
from typing import TYPE_CHECKING, Annotated
from fastapi import Depends, WebSocket
from opa import Component, Setup, get_router, state
if TYPE_CHECKING:
    import somewhere
    from somewhere import Thing, User
router = get_router()
"""


@pytest.mark.parametrize(
    "annotation",
    [
        "Annotated[Thing, Depends(give)]",
        "Annotated[Thing[int], Depends(give)]",
        "Annotated[Thing | None, Depends(give)]",
        "Annotated[None | somewhere.deep.Thing, Depends(give)]",
        "Annotated[dict[str, Thing], Depends(give)]",
        "Annotated[Thing, 'words', Depends(give)]",
    ],
)
def test_a_dependency_is_seen_beside_a_type_that_is_not_there(project: Project, annotation: str) -> None:
    project.plugin(
        "a.py",
        HEAD + f"def give(): return 5\n@router.get('/n')\ndef n(thing: {annotation}) -> int: return thing\n"
        f"@router.websocket('/w')\nasync def w(socket: WebSocket, thing: {annotation}):\n"
        "    await socket.accept()\n    await socket.send_json(thing)\n",
    )
    app = project.app()
    assert list(unresolved_types(app)) == []
    with TestClient(app) as client:
        assert client.get("/n").json() == 5
        with client.websocket_connect("/w") as socket:
            assert socket.receive_json() == 5
        assert client.get("/openapi.json").status_code == 200


SUB = """
from functools import partial
def give(): return 5
Five = Annotated[int, Depends(give)]
async def direct(thing: Annotated[Thing, Depends(give)]) -> int: return thing
async def by_default(thing: int = Depends(direct)) -> Thing: return thing
class Session:
    def __init__(self, thing: Annotated[Thing, Depends(give)]) -> None: self.thing = thing
class Checker:
    def __call__(self, thing: Annotated[Thing, Depends(give)], other: Five) -> int: return thing
    def method(self, thing: Annotated[Thing, Depends(give)]) -> int: return thing
def two(times: int, thing: Annotated[Thing, Depends(give)]) -> int: return thing
"""


@pytest.mark.parametrize(
    "parameter",
    [
        "thing: Annotated[int, Depends(direct)]",
        "thing: Annotated[int, Depends(by_default)]",
        "thing: int = Depends(by_default)",
        "session: Annotated[Session, Depends()], thing=Depends(direct)",
        "session: Session = Depends(), thing=Depends(direct)",
        "thing: Annotated[int, Depends(Checker())]",
        "thing: Annotated[int, Depends(Checker().method)]",
        "thing: Annotated[int, Depends(partial(two, 2))]",
    ],
)
def test_so_is_one_of_what_a_route_depends_on(project: Project, parameter: str) -> None:
    routes = f"@router.get('/n')\ndef n({parameter}) -> int: return thing\n"
    others = "other = get_router(dependencies=[Depends(direct)])\n@other.get('/m', dependencies=[Depends(Checker())])\n"
    project.plugin(
        "a.py",
        f"{HEAD}{SUB}{routes}{others}def m(): return 5\n"
        "router.include_router(other, dependencies=[Depends(Session)])\n",
    )
    app = project.app()
    assert list(unresolved_types(app)) == []
    with TestClient(app) as client:
        assert [client.get(path).json() for path in ("/n", "/m")] == [5, 5]


def test_a_setup_and_a_step_get_what_they_name_whatever_its_type(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opa import state

    monkeypatch.setitem(state, "notes", [])
    project.plugin(
        "a.py",
        HEAD + "class S(Setup):\n    def __init__(self, app: Thing, config: User | None):\n"
        "        state['notes'] += [app.title, config.PROJECT_NAME]\n"
        "    async def run(self, pm: somewhere.Manager): state['notes'].append(type(pm).__name__)\n"
        "def ready(app: Thing): state['notes'].append('ready')\n",
    )
    with project.client():
        assert state["notes"] == ["opa-stack", "opa-stack", "PluginManager", "ready"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def n(thing: Thing): ...", "parameter 'thing' of GET /n of plugin 'a' has the type Thing"),
        ("def n(things: list[Thing]): ...", "parameter 'things' of GET /n of plugin 'a' has the type list[Thing]"),
        ("def n() -> Thing: ...", "the result of GET /n of plugin 'a' has the type Thing"),
        (
            "def n(thing: Annotated[Thing, Depends()]): ...",
            "parameter 'thing' of GET /n of plugin 'a' has the type Ann",
        ),
        ("def n(user=Depends(user)): ...", "parameter 'thing' of GET /n of plugin 'a' has the type Thing"),
    ],
)
def test_a_type_that_fastapi_needs_is_reported_with_its_place(project: Project, code: str, told: str) -> None:
    file = project.plugin("a.py", HEAD + f"def user(thing: Thing = None): ...\n@router.get('/n')\n{code}")
    (mistake,) = unresolved_types(project.app())
    assert mistake.problem.startswith(told)
    assert mistake.where.startswith(f"{file}:")
