"""The kind: an error speaks of the whole where one part of it is wrong."""

from __future__ import annotations

from tests.cases.place import Place, case


@case("P6", "An item of middleware that is none is named, with what it is and what to write")
def an_item_of_middleware(place: Place) -> None:
    place.plugin("a.py", "class T: ...\nmiddleware = [T]")
    seen = place.run("check")
    assert seen.returncode == 1
    assert "item 1 of 'middleware' of plugin 'a' is the class T" in seen.stderr
    place.plugin("a.py", "router = 5")
    assert "'router' of plugin 'a' is an int, not an APIRouter" in place.run("check").stderr
