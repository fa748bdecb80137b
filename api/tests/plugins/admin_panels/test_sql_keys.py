"""Rows whose primary keys are of any type, or have anything in them."""

from __future__ import annotations

import html
import re
import sys
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Column, String, create_engine, select, text
from sqlalchemy.orm import Session, declarative_base

from opa.errors import OpaError
from opa.plugins.admin_panels.sql.keys import RowKeys
from tests.plugins.admin_panels.form import sent_back
from tests.plugins.admin_panels.library import BADGES, PLUGIN, Library, Visitor, problems
from tests.project import Project

MODELS = """
    import enum
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from uuid import UUID

    from sqlalchemy import Enum, ForeignKey, Integer, Numeric, PickleType, String, TypeDecorator
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
    from sqlalchemy.types import UserDefinedType


    class Base(DeclarativeBase):
        pass


    class Kind(enum.Enum):
        novel = "n/1"
        poem = "p"


    class Size(enum.IntEnum):
        small = 1


    TEXTS = ["a/b?c#d%e f&g=h+i", "a\\nb,;\\"'<b>", "", "~", "x" * 3000, "..", "[1]"]
    KEYS = {
        Kind: list(Kind),
        Size: list(Size),
        UUID: [UUID(int=7)],
        date: [date(2026, 1, 2)],
        datetime: [datetime(2026, 1, 2, 3, 4, 5, 678)],
        time: [time(3, 4)],
        timedelta: [timedelta(days=1, microseconds=1)],
        bytes: [b"\\x00\\xff/"],
        Decimal: [Decimal("-1.50")],
        float: [0.1],
        bool: [False, True],
        int: [-1],
        str: TEXTS,
    }


    def model_of(kind):
        key = mapped_column(Numeric(10, 2), primary_key=True) if kind is Decimal else mapped_column(primary_key=True)
        columns = {"key": key, "__annotations__": {"key": Mapped[kind], "note": Mapped[str]}}
        name = f"of{kind.__name__.lower()}"
        return type(name, (Base,), {"__tablename__": name, **columns})


    SINGLE = {model_of(kind): keys for kind, keys in KEYS.items()}


    class Numbered(TypeDecorator):
        impl = Integer
        cache_ok = True

        def process_bind_param(self, value, dialect):
            return int(value.removeprefix("user_"))

        def process_result_value(self, value, dialect):
            return f"user_{value}"


    class Thing(str):
        def __str__(self):
            return "of no use"


    class Things(TypeDecorator):
        impl = String
        cache_ok = True

        def process_bind_param(self, value, dialect):
            return "".join(value)

        def process_result_value(self, value, dialect):
            return Thing(value)


    class Own(UserDefinedType):
        cache_ok = True

        def get_col_spec(self, **_):
            return "TEXT"

        def bind_processor(self, dialect):
            return lambda value: value["key"]

        def result_processor(self, dialect, kind):
            return lambda text: type("Key", (dict,), {"__hash__": lambda self: hash(text)})(key=text)


    OWN = {
        Numbered: ["user_1", "user_22"],
        Things: [Thing("a/b"), Thing("int:7"), Thing("~")],
        PickleType: [("a", 1), b"x"],
        Own: [Own().result_processor(None, None)(text) for text in ("%", "x")],
    }
    for kind, keys in OWN.items():
        columns = {"key": mapped_column(kind, primary_key=True), "__annotations__": {"note": Mapped[str]}}
        name = f"of{kind.__name__.lower()}"
        SINGLE[type(name, (Base,), {"__tablename__": name, **columns})] = keys


    class Pair(Base):
        __tablename__ = "pairs"

        kind: Mapped[Kind] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(primary_key=True)
        is_old: Mapped[bool] = mapped_column(primary_key=True)
        note: Mapped[str]


    class Book(Base):
        __tablename__ = "books"

        id: Mapped[int] = mapped_column(primary_key=True)
        note: Mapped[str]
        shelf_kind: Mapped[Kind] = mapped_column(ForeignKey("shelves.kind"))
        shelf: Mapped["Shelf"] = relationship()


    class Shelf(Base):
        __tablename__ = "shelves"

        kind: Mapped[Kind] = mapped_column(primary_key=True)


    def rows():
        for model, keys in SINGLE.items():
            yield from (model(key=key, note="old") for key in keys)
        yield from (Pair(kind=Kind.poem, name=text, is_old=text < "b", note="old") for text in TEXTS)
        yield from (Shelf(kind=kind) for kind in Kind)
"""
ADMIN = """
    from library.models import SINGLE, Book, Pair, Shelf
    from opa import admin

    for model in (*SINGLE, Pair, Book, Shelf):
        admin.register(model, name=model.__tablename__)
"""
KINDS = ("kind", "size", "uuid", "date", "datetime", "time", "timedelta", "bytes", "decimal", "float", "bool", "int")
OWN = ("numbered", "things", "pickletype", "own")
WRONG = ("nope", "", "sNaN", "9" * 400, "%00", "a/b", "x" * 5000, "-9", "\x00", "NaN", ",", "2026-01-02T00:00:00+00:00")


@pytest.fixture
def keyed(project: Project) -> Library:
    library = Library.__new__(Library)
    library.project = project
    project.plugin("library/__init__.py", PLUGIN)
    project.plugin("library/models.py", MODELS)
    project.plugin("library/admin.py", ADMIN)
    project.plugin("badges.py", BADGES)
    project.settings(PLUGINS={"authenticators": ["badges.Badges"]})
    project.component("SQL", "sqlalchemy-async", URL=f"sqlite:///{library.file}")
    return library


def fill(keyed: Library) -> None:
    """Have the rows there, once the tables are."""
    engine = create_engine(f"sqlite:///{keyed.file}")
    with Session(engine) as session:
        session.add_all(sys.modules["library.models"].rows())
        session.commit()
    engine.dispose()


def keys_in(page: str) -> list[str]:
    return [html.unescape(key) for key in re.findall(r'data-sa-pk="([^"]*)"', page)]


def edited(ada: Visitor, panel: str, key: str, **fields: Any) -> None:
    """Look at a row, and change something in it."""
    status, page = ada.get(f"/{panel}/detail?pk={key}")
    assert status == 200, (panel, key, problems(page))
    status, page = ada.get(f"/{panel}/edit?pk={key}")
    assert status == 200, (panel, key, problems(page))
    status, page = ada.send(f"/{panel}/edit?pk={key}", {**sent_back(page), **fields})
    assert status == 200, (panel, key, problems(page))


def test_each_page_of_a_row_works_whatever_its_key_is(keyed: Library) -> None:
    with keyed.visitor() as ada:
        fill(keyed)
        for table in (*(f"of{kind}" for kind in (*KINDS, "str", *OWN)), "pairs"):
            keys = keys_in(ada.get(f"/{table}/list?page_size=100")[1])
            total = keyed.rows(f"select count(*) from {table}")
            assert [(len(set(keys)),)] == total, table
            for number, each in enumerate(keys):
                key = quote(each, safe="")
                edited(ada, table, key, note="new")
                assert keyed.rows(f"select count(*) from {table} where note = 'new'") == [(1,)], (table, each)
                way = f"action?name=delete&pks={key}" if number % 2 else f"row-action?name=delete&pk={key}"
                assert ada.act(f"/{table}/{way}")[0] == 200, (table, each)
                assert keyed.rows(f"select count(*) from {table} where note = 'new'") == [(0,)], (table, each)
            wrong = [quote(each, safe="") for each in WRONG]
            assert [ada.get(f"/{table}/detail?pk={each}")[0] for each in wrong[:3]] == [404] * 3, table
            assert ada.act(f"/{table}/action?name=delete&pks={'&pks='.join(wrong)}")[0] == 200, table


def test_a_relation_leads_to_a_row_whose_key_is_an_enum(keyed: Library) -> None:
    with keyed.visitor() as ada:
        fill(keyed)
        status, page = ada.send("/books/create", {"note": "Emma", "shelf": "poem"})
        assert status == 200, problems(page)
        assert "/admin/shelves/detail?pk=poem&" in ada.get("/books/detail?pk=1")[1]
        edited(ada, "books", "1", shelf="novel")
        assert keyed.rows("select note, shelf_kind from books") == [("Emma", "novel")]
        found = ada.client.get("/admin/_api/shelves/relation-lookup").json()
        assert sorted(item["opa_key"] for item in found["items"]) == ["novel", "poem"]


def test_nothing_in_a_key_of_several_columns_is_no_text() -> None:
    columns = {name: Column(String, primary_key=True, nullable=True) for name in "ab"}
    model = type("Thing", (declarative_base(),), {"__tablename__": "things", **columns})
    keys, engine = RowKeys(model), create_engine("sqlite://")
    found = [keys.text_of(model(a="x", b=b), engine.dialect) for b in (None, "None", "", "~", "~-", "~~-")]
    assert len(set(found)) == len(found)
    with engine.connect() as connection:
        connection.execute(text("create table things (a, b)"))
        connection.execute(text("insert into things values ('x', null), ('x', 'None'), ('x', '~-')"))
        for wanted, key in zip((None, "None", "~-"), (found[0], found[1], found[4]), strict=True):
            rows = connection.execute(select(model.__table__).where(keys.condition_of([key])))  # type: ignore[attr-defined]
            assert [tuple(row) for row in rows] == [("x", wanted)]
    engine.dispose()


def test_a_key_that_the_table_does_not_have_is_a_mistake_at_the_panel(keyed: Library) -> None:
    keyed.project.plugin(
        "library/admin.py",
        """
        from library.models import Base
        from opa import admin
        from sqlalchemy import Column, Integer, Table

        table = Table("views", Base.metadata, Column("number", Integer))


        @admin.register
        class View(Base):
            __table__ = table
            __mapper_args__ = {"primary_key": [table.c.number]}
        """,
    )
    with pytest.raises(OpaError, match="the table of View has no primary key") as told:
        keyed.project.app()
    assert "library/admin.py:" in str(told.value)
