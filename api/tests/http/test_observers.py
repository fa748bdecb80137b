"""Members of the group `request_observers`."""

from __future__ import annotations

import pytest

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
