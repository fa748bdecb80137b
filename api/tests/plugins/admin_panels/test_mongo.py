"""Panels of models of Pydantic over collections of MongoDB."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from bson import Binary, Decimal128, ObjectId
from pymongo import MongoClient

from opa.plugins.admin_panels.mongo.values import identity_of, text_of
from tests.plugins.admin_panels.form import sent_back
from tests.plugins.admin_panels.library import BADGES, Library, Visitor, problems
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server

OTHER_IDS = [
    Decimal128("1.50"),
    Binary(b"ab", 5),
    Binary.from_uuid(UUID(int=7)),
    {"shop": 1, "day": {"at": datetime(2026, 1, 2), "of": [None, "x"]}},
]
HOSTILE = "<img src=x onerror=alert(1)>\"'\\</script>"
ADMIN = """
    from datetime import date, datetime
    from decimal import Decimal
    from enum import Enum
    from typing import Literal
    from uuid import UUID

    from pydantic import BaseModel, Field, SecretStr, field_validator

    from opa import admin


    class Level(Enum):
        low = 1
        high = 2


    class Place(BaseModel):
        shelf: str


    class Note(BaseModel):
        title: str = Field(min_length=2, description="In a few words")
        text: str = Field(default="", max_length=5000)
        kind: Literal["memo", "letter"] = "memo"
        level: Level | None = None
        pages: int | None = Field(default=None, ge=1)
        price: Decimal | None = None
        day: date | None = None
        at: datetime | None = None
        tags: list[str] = []
        place: Place | None = None
        key: UUID | None = None
        done: bool = False
        code: SecretStr | None = None
        owner: str = "nobody"
        kept_as: str | None = Field(default=None, alias="keptAs")

        @field_validator("title")
        @classmethod
        def no_shouting(cls, title: str) -> str:
            if title.isupper():
                raise ValueError("do not shout")
            return title


    @admin.register(Note, collection="notes")
    class NoteAdmin(admin.ModelAdmin):
        exclude = ["owner"]
        list_display = ["title", "kind", "pages", "tags", "day"]
        search_fields = ["title", "tags"]


    class Place2(BaseModel):
        id: str
        shelf: str


    admin.register(Place2, name="place", can_delete=False)
"""


@pytest.fixture
def notes(mongo_url: str) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](f"{mongo_url}/admin_notes") as client:
        client.drop_database("admin_notes")
        yield client["admin_notes"]["notes"]


@pytest.fixture
def ada(project: Project, notes: Any, mongo_url: str) -> Iterator[Visitor]:
    with visitor_of_desk(project, mongo_url) as visitor:
        yield visitor


@contextmanager
def visitor_of_desk(project: Project, url: str) -> Iterator[Visitor]:
    project.plugin("desk/__init__.py")
    project.plugin("desk/admin.py", ADMIN)
    project.plugin("badges.py", BADGES)
    project.settings(PLUGINS={"authenticators": ["badges.Badges"]})
    project.component("MONGODB", "mongodb-async-motor", URL=f"{url}/admin_notes")
    library = Library.__new__(Library)
    library.project = project
    with library.visitor() as visitor:
        yield visitor


def test_documents_are_created_edited_searched_and_deleted(ada: Visitor, notes: Any) -> None:
    form = {
        **{"title": "Tea", "kind": "letter", "level": "2", "pages": "3", "price": "1.50", "day": "2026-01-31"},
        **{"at": "2026-01-31T10:00", "tags": ["a", "b"], "place": '{"shelf": "s"}', "done": "on", "code": "planted"},
        **{"key": "12345678-1234-5678-1234-567812345678", "kept_as": "x"},
    }
    status, page = ada.send("/note/create", form)
    assert status == 200, problems(page)
    [found] = notes.find()
    key = str(found.pop("_id"))
    at = found.pop("at")
    assert found == {
        **{"title": "Tea", "text": "", "kind": "letter", "level": 2, "pages": 3, "price": "1.50", "day": "2026-01-31"},
        **{"tags": ["a", "b"], "place": {"shelf": "s"}, "done": True, "code": "planted", "owner": "nobody"},
        **{"key": "12345678-1234-5678-1234-567812345678", "keptAs": "x"},
    }
    assert at.isoformat() == "2026-01-31T10:00:00"
    for query, is_there in (
        *(("?q=te", True), ("?q=b", True), ("?q=memo", False), ("?q=.", False), ("?q=(", False)),
        *(("pages__eq=3", True), ("pages__gt=3", False), ("kind__in=letter", True), ("title__contains=E", True)),
        *(("day__between=2026-01-01..2026-12-31", True), ("title__not_contains=e", False), ("tags__is_null", False)),
        ("(pages__eq=9 OR title__startswith=t) AND kind__neq=memo", True),
    ):
        address = query if query.startswith("?") else f"?filter={quote(query)}"
        status, page = ada.get(f"/note/list{address}")
        assert (status, f"pk={key}" in page) == (200, is_there), (query, problems(page))
    pages = [ada.get(f"/note/{path}")[1] for path in ("list", f"detail?pk={key}", f"edit?pk={key}")]
    assert "Tea" in pages[0]
    assert all("planted" not in page for page in pages)

    notes.update_one({}, {"$set": {"unknown": 7, "owner": "visitor"}})
    status, page = ada.send(f"/note/edit?pk={key}", {"title": "Tea!", "kind": "memo", "tags": ["a"], "code": ""})
    assert status == 200, problems(page)
    [found] = notes.find()
    assert [found[name] for name in ("title", "kind", "level", "tags", "code", "owner", "unknown", "done")] == [
        *("Tea!", "memo", None, ["a"], "planted", "visitor", 7, False)
    ]
    assert ada.act(f"/note/row-action?name=delete&pk={key}")[0] == 200
    assert ada.act(f"/note/row-action?name=delete&pk={key}")[0] == 400
    assert notes.count_documents({}) == 0


def test_what_is_entered_is_validated_by_the_model_and_fields_that_are_not_shown_are_not_set(
    ada: Visitor, notes: Any
) -> None:
    for entered, problem in (
        ({}, "This field is required."),
        ({"title": "A"}, "String should have at least 2 characters"),
        ({"title": "TEA"}, "Value error, do not shout"),
        ({"title": "Tea", "pages": "0"}, "Input should be greater than or equal to 1"),
        ({"title": "Tea", "pages": "many"}, "This is no whole number"),
        ({"title": "Tea", "kind": "song"}, "Input should be 'memo' or 'letter'"),
        ({"title": "Tea", "place": "{"}, "This is no JSON"),
        ({"title": "Tea", "place": "{}"}, "shelf: Field required"),
        ({"title": "Tea", "place": "[" * 100000}, "This is no JSON"),
        ({"title": "Tea", "key": "x"}, None),
        ({"title": "Tea", "pages": "9" * 30}, "The database cannot keep this value"),
        ({"title": "Te\x00a"}, "A text has no NUL"),
    ):
        status, page = ada.send("/note/create", entered)
        assert status == 422, entered
        assert problem is None or problem.replace("'", "&#39;") in problems(page), (entered, problems(page))
    hidden = {"owner": "mallory", "_id": "x", "id": "x", "unknown": "x", "$set": "x"}
    assert ada.send("/note/create", {"title": "Tea", **hidden})[0] == 200
    [found] = notes.find()
    assert isinstance(found["_id"], ObjectId)
    assert (found["owner"], found.keys() & {"unknown", "$set", "id"}) == ("nobody", set())
    assert ada.send(f"/note/edit?pk={found['_id']}", {"title": "Tea", **hidden})[0] == 200
    assert notes.find_one()["owner"] == "nobody"


def test_documents_that_do_not_fit_the_model_are_shown_and_can_be_fixed(ada: Visitor, notes: Any) -> None:
    odd = {
        "title": 7,
        "kind": HOSTILE,
        "pages": "x",
        "tags": HOSTILE,
        "day": 3,
        "level": "?",
        "place": [1],
        "at": HOSTILE,
    }
    ids = ["a/b ../c", "5", 5, "0" * 24, 1.5, "~x", HOSTILE, "", ObjectId()]
    notes.insert_many([{"_id": each, **odd} for each in ids])
    notes.insert_one({"_id": "empty"})
    notes.insert_one({"_id": {"a": 1}, "title": "id of two parts"})
    status, page = ada.get("/note/list")
    assert status == 200, problems(page)
    assert "<img" not in page
    keys = re.findall(r"/admin/note/detail\?pk=([^\"&]*)", page)
    assert len(set(keys)) == len(ids) + 2
    for key in set(keys):
        status, page = ada.get(f"/note/detail?pk={key}")
        assert status == 200, (key, problems(page))
        assert "<img" not in page
        status, page = ada.get(f"/note/edit?pk={key}")
        assert (status, "<img" not in page) == (200, True), (key, problems(page))
        form = sent_back(page)
        assert key == "empty" or "%22a%22" in key or (form["kind"], form["level"]) == ([HOSTILE], ["?"]), (key, form)
    status, page = ada.send("/note/edit?pk=5", {"title": "Tea"})
    assert (status, notes.find_one({"_id": "5"})["title"], notes.find_one({"_id": 5})["title"]) == (200, "Tea", 7)
    assert ada.act("/note/action?name=delete&pks=5&pks=empty")[0] == 200
    assert notes.count_documents({"_id": {"$in": ["5", "empty"]}}) == 0
    assert notes.count_documents({"_id": 5}) == 1


def test_a_form_keeps_what_was_not_changed_in_it_and_what_another_user_has_changed(ada: Visitor, notes: Any) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678000)
    full = {"text": "a\nb\r\n", "price": "1.50", "tags": [" a  b", ""], "at": at, "place": {"shelf": "s", "more": 1}}
    notes.insert_many([{"_id": "full", "title": "Tea\n2", **full}, {"_id": "empty", "title": "Tea"}])
    before = list(notes.find())
    for key in ("full", "empty"):
        status, page = ada.send(f"/note/edit?pk={key}", sent_back(ada.get(f"/note/edit?pk={key}")[1]))
        assert status == 200, problems(page)
    assert list(notes.find()) == before
    form = sent_back(ada.get("/note/edit?pk=full")[1])
    notes.update_one({"_id": "full"}, {"$set": {"text": "of another", "pages": 7}})
    assert ada.send("/note/edit?pk=full", {**form, "title": "Mine"})[0] == 200
    assert notes.find_one({"_id": "full"}) == {**before[0], "title": "Mine", "text": "of another", "pages": 7}
    status, page = ada.send("/note/edit?pk=full", {**form, "title": "Mine", "pages": "8"})
    assert (status, [text[:25] for text in problems(page)]) == (422, ["This was changed meanwhil"])
    assert ada.send("/note/edit?pk=full", sent_back(page))[0] == 200
    assert notes.find_one({"_id": "full"})["pages"] == 8


def test_what_a_browser_cannot_show_in_a_field_is_not_lost_by_a_change_of_another(ada: Visitor, notes: Any) -> None:
    odd = {"pages": "many", "day": "soon", "price": "12 EUR"}
    empty = dict.fromkeys(odd, "")  # in fields of numbers and of days
    notes.insert_one({"_id": "odd", "title": "Tea", **odd})
    form = sent_back(ada.get("/note/edit?pk=odd")[1])
    status, page = ada.send("/note/edit?pk=odd", {**form, **empty, "title": "Mine"})
    assert (status, len(problems(page))) == (422, 3)
    assert notes.find_one() == {"_id": "odd", "title": "Tea", **odd}
    assert ada.send("/note/edit?pk=odd", {**sent_back(page), "pages": "8"})[0] == 200
    assert notes.find_one() == {"_id": "odd", "title": "Mine", "pages": 8, "day": None, "price": None}


def test_half_of_a_surrogate_pair_is_refused_at_its_field(ada: Visitor, notes: Any) -> None:
    status, page = ada.send("/note/create", {"title": "Tea", "place": '{"shelf": "\\ud800"}'})
    assert (status, problems(page), notes.find_one()) == (422, ["The database cannot keep this value"], None)


def test_nothing_in_an_address_is_an_operator(ada: Visitor, notes: Any) -> None:
    notes.insert_many([{"title": f"Note {number}", "owner": "planted"} for number in range(3)])
    for key in ('~{"$gt": ""}', '~{"$regex": ".*"}', '~{"$ne": null}', "$ne", '{"$gt": ""}', "~", "~[", '~{"$oid": 1}'):
        assert ada.get(f"/note/detail?pk={quote(key)}")[0] == 404, key
        assert ada.act(f"/note/action?name=delete&pks={quote(key)}")[0] == 200, key
    for path, expected in (
        ("?q=" + quote("^.*$"), 200),
        ("?q=" + "a" * 5000, 200),
        ("?q=%00", 200),
        ("?filter=" + quote('title__eq={"$gt":""}'), 200),
        ("?filter=" + quote("owner__eq=planted"), 400),
        ("?filter=" + quote("$where__eq=1"), 400),
        ("?filter=" + quote("pages__eq=" + "9" * 40), 400),
        ("?sort=owner__asc&sort=$natural__asc", 200),
        ("?page=" + "9" * 40, 200),
    ):
        status, page = ada.get(f"/note/list{path}")
        assert status == expected, (path, status, problems(page))
        assert "planted" not in page
        assert expected == 400 or "sort" in path or "/note/detail" not in page, path
    assert notes.count_documents({}) == 3


def test_an_id_that_the_model_needs_is_entered_once_and_options_hold_for_everyone(ada: Visitor, notes: Any) -> None:
    places = notes.database["place"]
    assert ada.send("/place/create", {"id": "hall", "shelf": "s"})[0] == 200
    status, page = ada.send("/place/create", {"id": "hall", "shelf": "t"})
    assert (status, problems(page)) == (422, ["There is one with this value already"])
    assert ada.send("/place/edit?pk=hall", {"id": "cellar", "shelf": "u"})[0] == 200
    assert list(places.find()) == [{"_id": "hall", "shelf": "u"}]
    assert ada.act("/place/action?name=delete&pks=hall")[0] == 403
    ada.be("admin:place:read")
    assert ada.send("/place/edit?pk=hall", {"shelf": "x"})[0] == 403
    assert list(places.find()) == [{"_id": "hall", "shelf": "u"}]


def test_a_server_that_is_gone_is_a_503_until_it_is_back(project: Project, start_mongo: Callable[[], Server]) -> None:
    server = start_mongo()
    with visitor_of_desk(project, server.url) as ada:
        assert ada.send("/note/create", {"title": "Tea"})[0] == 200
        server.stop()
        status, page = ada.get("/note/list")
        assert (status, problems(page)) == (503, ["component mongodb does not answer"])
        assert ada.send("/note/create", {"title": "Tea"})[0] == 503
        assert ada.act("/note/action?name=delete&pks=x")[0] == 503
        assert ada.get("/")[0] == 200
        server.start()
        wait_until(lambda: ada.get("/note/list")[0] == 200)


@pytest.mark.parametrize("value", ["hall", "0" * 24, 7, 1.5, "~", "", True, ObjectId("0" * 24), b"\x00", *OTHER_IDS])
def test_an_id_is_a_text_that_stands_for_no_other(value: Any) -> None:
    found = identity_of(text_of(value))
    assert (found, type(found)) == (value, type(value))


def test_a_uuid_is_an_id_as_mongodb_keeps_it() -> None:
    assert identity_of(text_of(UUID(int=7))) == Binary.from_uuid(UUID(int=7))


def test_documents_of_any_id_are_shown_edited_and_deleted(ada: Visitor, notes: Any) -> None:
    ids = ["", " a/b?c#d%e\nf&g=h+i,~", "~x", "x" * 1000, "é", "0" * 24, 7, 2.5, *OTHER_IDS]
    notes.insert_many([{"_id": each, "title": "Note"} for each in ids])
    keys = set(map(html.unescape, re.findall('data-sa-pk="([^"]*)"', ada.get("/note/list?page_size=100")[1])))
    assert keys == set(map(text_of, ids))
    for each in ids:
        key = quote(text_of(each), safe="")
        assert ada.get(f"/note/detail?pk={key}")[0] == 200, each
        form = sent_back(ada.get(f"/note/edit?pk={key}")[1])
        assert ada.send(f"/note/edit?pk={key}", {**form, "pages": "3"})[0] == 200, each
        assert notes.find_one({"_id": {"$eq": each}})["pages"] == 3
        assert ada.act(f"/note/action?name=delete&pks={key}")[0] == 200
        assert notes.find_one({"_id": {"$eq": each}}) is None, each


@pytest.mark.parametrize(
    "text",
    [
        "~",
        "~{",
        '~{"$gt": ""}',
        "~[1]",
        "~null",
        '~{"a": {"$gt": ""}}',
        '~{"a": [{"$ne": 1}]}',
        '~{"$regularExpression": {}}',
        "~" + "[" * 9999,
    ],
)
def test_what_is_no_id_is_nothing(text: str) -> None:
    assert identity_of(text) is None
