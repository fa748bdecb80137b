"""Members of the group `request_observers`."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from starlette.routing import Mount

from opa.http import request_facts
from tests.project import Project

TELLS = """
from opa import RequestObserver, get_router, register

heard = []
router = get_router()


@register("request_observers")
class Hears(RequestObserver):
    def ended(self, scope, status, seconds, place, actor):
        heard.append((scope["path"], status, place.route, place.plugin))
        raise ValueError("no room")


@router.get("/orders/{number}")
async def order(number: int) -> list[list[object]]:
    return [list(each) for each in heard]
"""
ANOTHER = """
from opa import RequestObserver, register


@register("request_observers")
class Fails(RequestObserver):
    def ended(self, *facts):
        raise ValueError("no room either")
"""


@pytest.mark.parametrize("others", [(), ("a_first.py", "z_last.py")], ids=["alone", "among others"])
def test_an_observer_that_fails_disturbs_neither_the_request_nor_others(
    project: Project, others: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("shop.py", TELLS)
    for name in others:
        project.plugin(name, ANOTHER)
    with project.client() as client:
        assert client.get("/orders/7").json() == []
        assert client.get("/nowhere").status_code == 404
        heard = client.get("/orders/8").json()
    assert heard == [["/orders/7", 200, "/orders/{number}", "shop"], ["/nowhere", 404, None, None]]
    logged = capsys.readouterr().err
    assert logged.count('shop.Hears.ended of the group request_observers failed: ValueError: no room"') == 1
    assert logged.count("of the group request_observers failed") == 1 + len(others)


RECORDS = """
from opa import RequestObserver, get_router, register

ended, recorded = [], []
router = get_router()


@register("request_observers")
class Records(RequestObserver):
    def ended(self, scope, status, seconds, place, actor):
        ended.append((scope.get("method"), place.route, status))

    def recorder(self, place, method, status):
        if method == "TRACE":
            raise ValueError("no such method")
        if method == "DELETE":
            return None

        def record(seconds):
            assert 0 < seconds < 60
            recorded.append((method, place.route, status))
            if method == "PUT":
                raise ValueError("no room")

        return record


@router.api_route("/orders/{number}", methods=["GET", "PUT", "DELETE", "TRACE"])
@router.get("/other")
async def order(number: int = 0) -> int:
    return number


@router.get("/heard")
async def heard() -> list[list[object]]:
    return [ended, recorded]
"""


def test_an_observer_that_is_alone_may_record_further_requests_that_are_like_one(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("shop.py", RECORDS)
    with project.client() as client:
        for number in range(3):
            for method in ("GET", "PUT", "DELETE", "TRACE", "POST"):
                client.request(method, f"/orders/{number}")
            client.get("/other")
            client.get("/orders/none")
            client.get("/nowhere")
        ended, recorded = client.get("/heard").json()
    kinds = [
        *(["GET", "/orders/{number}", 200], ["PUT", "/orders/{number}", 200], ["POST", "/orders/{number}", 405]),
        *(["GET", "/other", 200], ["GET", "/orders/{number}", 422]),
    ]
    told = [["DELETE", "/orders/{number}", 200], ["TRACE", "/orders/{number}", 200], ["GET", None, 404]]
    assert sorted(recorded, key=str) == sorted(kinds * 2, key=str)
    assert sorted(ended, key=str) == sorted([*kinds, *told * 3], key=str)
    logged = capsys.readouterr().err
    assert logged.count("record of the group request_observers failed: ValueError: no room") == 1
    assert logged.count("of the group request_observers failed: ValueError: no such method") == 1


def test_an_observer_among_others_hears_of_each_request(project: Project) -> None:
    project.plugin("shop.py", RECORDS)
    project.plugin("another.py", ANOTHER.replace('raise ValueError("no room either")', "pass"))
    with project.client() as client:
        for _ in range(3):
            client.get("/other")
        assert client.get("/heard").json() == [[["GET", "/other", 200]] * 3, []]


MOUNTS = (
    TELLS.replace("raise ValueError", "ValueError")
    + """
from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import Mount, Route

sub = FastAPI()
sub.get("/x")(lambda: 1)
inner = [Route("/x", lambda request: Response()), Mount("/raw", Response("raw")), Mount("/fast", sub)]
router.routes.append(Mount("/star", routes=[Mount("/in", routes=inner)]))
router.mount("/raw", Response("raw"))
"""
)


def test_a_mount_is_no_route_whoever_has_mounted_it(project: Project) -> None:
    project.plugin("shop.py", MOUNTS)
    found = ["/star/in/x", "/star/in/fast/x"]
    mounted = ["/raw/x", "/star/in/raw/x"]
    missed = ["/star/in/nowhere", "/star/in/fast/nowhere"]
    with project.client() as client:
        for path in [*found, *mounted, *missed]:
            assert client.get(path).status_code == (404 if path in missed else 200)
        heard = client.get("/orders/8").json()
    assert [route for path, _, route, _ in heard if path in found] == found
    assert [route for path, _, route, _ in heard if path not in found] == [None] * 4


def test_what_is_reached_by_a_mount_too_is_never_recorded_as_the_route_itself(project: Project) -> None:
    project.plugin("shop.py", RECORDS)
    with project.client() as client:
        app: Any = client.app
        same = [route for route in app.routes if getattr(route, "path", "") == "/other"]
        app.routes.append(Mount("/again", routes=same))
        for path in ("/other", "/other", "/again/other", "/again/other"):
            client.get(path)
        ended, recorded = client.get("/heard").json()
    assert recorded == [["GET", "/other", 200]]
    assert ended == [["GET", "/other", 200], *[["GET", "/again/other", 200]] * 2]


def test_routes_that_are_gone_are_forgotten_with_what_records_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_facts, "CACHE_SIZE", 10)
    project.plugin("shop.py", RECORDS)
    with project.client() as client:
        app: Any = client.app
        kept = list(app.routes)
        gone = []
        for number in range(25):
            app.get(f"/made/{number}")(lambda: 1)
            gone.append(weakref.ref(app.routes[-1]))
            for _ in range(2):
                assert client.get(f"/made/{number}").json() == 1
            app.router.routes = list(kept)
        ended, recorded = client.get("/heard").json()
        gc.collect()
    assert ended == recorded == [["GET", f"/made/{number}", 200] for number in range(25)]
    assert sum(route() is not None for route in gone) <= 10
