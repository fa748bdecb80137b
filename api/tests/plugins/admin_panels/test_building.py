"""A panel that is wrong is an error that names plugin, file and line, and what to do."""

from __future__ import annotations

import re

import pytest

from opa.errors import OpaError
from opa.scaffold.template import plugin_files
from tests.own_metadata import own_metadata
from tests.plugins.admin_panels.library import Library

BEFORE = "from library.models import Author, Book, Shelf\nfrom opa import admin\n\n\n"
IN_CLASS = "@admin.register(Book)\nclass BookAdmin(admin.ModelAdmin):\n    {}\n"
OWN_ATTRIBUTE = """from sqlalchemy import Column, String; from sqlalchemy.orm import synonym
Book.{}
admin.register(Book, fields=["title", "csrftoken" if hasattr(Book, "csrftoken") else "name"])
"""


@pytest.mark.parametrize(
    ("text", "line", "problem", "hint"),
    [
        (IN_CLASS.format('component = "nothing"'), 5, "unknown component 'nothing'", "Name one of "),
        (IN_CLASS.format('component = "sql_sync"'), 5, "whose driver sqlalchemy it cannot use", "sqlalchemy-async"),
        (IN_CLASS.format('component = "mongodb"'), 5, "driver mongodb-async-motor it cannot use", "sqlalchemy-async"),
        (IN_CLASS.format('list_dispaly = ["title"]'), 5, "'list_dispaly', which is not an option", "'list_display'?"),
        (IN_CLASS.format("list_display = 'title'"), 5, "'list_display' of BookAdmin is 'title'", "a list of names"),
        (IN_CLASS.format("list_per_page = 100000"), 5, "is 100000", "from 1 to 500"),
        (IN_CLASS.format("schema = dict(a=1)"), 5, "'schema' of BookAdmin is a dict", "BaseModel"),
        (IN_CLASS.format("can_edit = 1"), 5, "'can_edit' of BookAdmin is 1", "True or False"),
        (IN_CLASS.format('search_fields = ["titel"]'), 5, "names 'titel', which Book has not", "It has "),
        (IN_CLASS.format('name = "../x"'), 5, "'../x' can be no name", "lower-case"),
        (IN_CLASS.format('name = "static"'), 5, "'static' can be no name", "lower-case"),
        (IN_CLASS.format('fields = ["author"]'), 5, "a relation to Author, which has no panel", "Register Author too"),
        (IN_CLASS.format('fields = ["title"]; exclude = ["title"]'), 5, "shows no field", "'exclude'"),
        ("admin.register(Book)\nadmin.register(Book)\n", 5, "has 'book' already, by", "another name"),
        ("admin.register(Author, name='book')\nadmin.register(Book, fields=['id'])\n", 6, "'book' already, by", "name"),
        (OWN_ATTRIBUTE.format("csrftoken = Column('c', String)"), 7, "a field 'csrftoken'", "'exclude'"),
        (OWN_ATTRIBUTE.format("name = synonym('title')"), 7, "'name' of Book is no column", "'fields'"),
        ("admin.register(str)\n", 5, "str is neither", "mapped class"),
        ("@admin.register(Book)\nclass A:\n    pass\n", 5, "are no ModelAdmin", "admin.ModelAdmin"),
        ("@admin.page('Book', name='a b')\ndef f(request): ...\n", 5, "'a b' can be no name", "lower-case"),
        ("admin.register(Book)\n@admin.page('Book')\ndef f(request): ...\n", 6, "'book' already", 'name="…"'),
        ("@admin.page('A', scope='a b')\ndef f(request): ...\n", 5, "'a b') is not a scope", "stock:read"),
    ],
)
def test_a_broken_panel_is_told_with_its_place(library: Library, text: str, line: int, problem: str, hint: str) -> None:
    library.project.plugin("library/admin.py", BEFORE + text)
    with pytest.raises(OpaError) as told:
        library.project.app()
    message = str(told.value)
    assert problem in message
    assert re.search(rf"library/admin\.py:{line}\b", message), message
    assert hint in message
    assert "library" in message


@pytest.mark.parametrize("url", ["//evil.example", "/a?b", "/a#b", "/{x}", "/a b", "/../x", "/%61"])
def test_an_address_that_no_link_can_lead_to_is_refused(library: Library, url: str) -> None:
    library.project.settings(ADMIN_URL=url)
    with pytest.raises(OpaError, match="which is not a path that links can lead to"), library.visitor():
        pass


def test_a_model_without_a_primary_key_is_refused_where_it_stands(library: Library) -> None:
    library.project.plugin(
        "library/models.py",
        """
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class Book(Base):
            __tablename__ = "books"
            title: Mapped[str]
        """,
    )
    library.project.plugin(
        "library/admin.py", "from library.models import Book\nfrom opa import admin\nadmin.register(Book)"
    )
    with pytest.raises(OpaError, match=r"(?s)primary key.*library/models\.py:7"):
        library.project.app()


def test_a_plugin_that_is_one_file_registers_panels_too(library: Library) -> None:
    (library.project.plugins / "library" / "admin.py").unlink()
    library.project.plugin(
        "more.py",
        "from library.models import Book\nfrom opa import admin\nadmin.register(Book, list_display=['title'])",
    )
    with library.visitor("admin:book:read") as ada:
        assert ada.get("/book/list")[0] == 200
    library.project.plugin(
        "more.py", "from library.models import Book\nfrom opa import admin\nadmin.register(Book, fields=['x'])"
    )


def test_the_panels_of_a_plugin_that_is_left_out_are_not_there(library: Library) -> None:
    library.project.settings(PLUGIN_BLACKLIST_LIST=["plugins/library"])
    library.project.plugin("more.py", "from opa import admin\nadmin.page('More')(lambda request: 'more')")
    with library.visitor() as ada:
        assert ada.get("/book/list")[0] == 404
        assert "more" in ada.get("/more")[1]


def test_columns_of_any_type_are_shown(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    library.project.plugin(
        "library/models.py",
        """
        import enum
        from datetime import date, datetime, time, timedelta
        from decimal import Decimal
        from uuid import UUID, uuid4
        from sqlalchemy import ARRAY, BigInteger, Integer, Interval, LargeBinary, Numeric, PickleType, String, types
        from sqlalchemy.dialects.postgresql import INET, JSONB, TSVECTOR
        from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

        class Base(DeclarativeBase):
            pass

        class Odd(types.UserDefinedType):
            cache_ok = True
            def get_col_spec(self, **_): return "TEXT"

        class Moody(types.TypeDecorator):
            impl = String
            cache_ok = True

        class Whims(types.TypeDecorator):
            impl = Integer
            cache_ok = True
            @property
            def unsigned(self):
                raise ValueError("not today")

        class Thing(Base):
            __tablename__ = "things"
            moody: Mapped[str | None] = mapped_column(Moody)
            whims: Mapped[int | None] = mapped_column(Whims)
            id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
            day: Mapped[date | None]
            at: Mapped[time | None]
            long: Mapped[timedelta | None] = mapped_column(Interval)
            price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
            odd: Mapped[str | None] = mapped_column(Odd)
            pickled: Mapped[bytes | None] = mapped_column(PickleType)
            raw: Mapped[bytes | None] = mapped_column(LargeBinary)
            floating: Mapped[float | None]
            twice = column_property(price.column * 2)
        """,
    )
    library.project.plugin(
        "library/admin.py", "from library.models import Thing\nfrom opa import admin\nadmin.register(Thing)"
    )
    with library.visitor() as ada:
        sent = {"day": "2026-01-31", "at": "10:30", "price": "1.50", "floating": "0.5", "raw": "x", "odd": "y"}
        assert ada.send("/thing/create", sent)[0] == 200
        status, page = ada.get("/thing/list")
    assert status == 200
    assert "1.50" in page
    assert library.rows("select day, raw, odd from things") == [("2026-01-31", None, None)]
    told = re.findall(
        r"the field '(\w+)' of the admin panel 'thing' is shown and not edited: ([^\"]*)", capsys.readouterr().err
    )
    # Whoever has no form by its kind, as bytes or a type of the database's own, needs no words.
    assert told == [("whims", "no form can be made for its type Whims: ValueError: not today")]


def test_the_plugin_of_opa_new_has_a_panel(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    own_metadata(library.project.folder / "meta", monkeypatch, admin=[], sql=[])
    plugin, _ = plugin_files("line_items", with_task=False, with_admin=True)
    library.project.plugin("line_items.py", plugin.text)
    with library.visitor("admin:line-items:*") as ada:
        assert ada.send("/line-items/create", {"name": "tea"})[0] == 200
        assert "tea" in ada.get("/line-items/list")[1]
    assert library.rows("select id, name from line_items") == [(1, "tea")]
