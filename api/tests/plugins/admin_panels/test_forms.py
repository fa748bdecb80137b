"""A form changes what its user has changed in it, and no value by the way."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from tests.plugins.admin_panels.form import sent_back
from tests.plugins.admin_panels.library import Library, problems
from tests.postgres import Postgres
from tests.serve.process import wait_until

MODELS = r"""
    import enum
    from datetime import date, datetime, time, timedelta, timezone
    from decimal import Decimal
    from typing import Any
    from uuid import UUID, uuid4

    from pydantic import BaseModel, model_validator
    from sqlalchemy import JSON, BigInteger, Computed, DateTime, Enum, ForeignKey, Interval, Numeric, Text
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


    class Base(DeclarativeBase):
        pass


    class Kind(enum.Enum):
        novel = "n"
        poem = "p"


    class Size(enum.IntEnum):
        small = 1
        large = 2


    class Maker(Base):
        __tablename__ = "makers"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        boss_id: Mapped[int | None] = mapped_column(ForeignKey("makers.id"))
        boss: Mapped["Maker | None"] = relationship(remote_side=[id], back_populates="staff")
        staff: Mapped[list["Maker"]] = relationship(back_populates="boss")

        def __str__(self) -> str:
            if self.name == "planted":
                raise RuntimeError("after it was written")
            return self.name


    class Thing(Base):
        __tablename__ = "things"
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        line: Mapped[str]
        other: Mapped[str | None] = mapped_column(unique=True)
        text: Mapped[str | None] = mapped_column(Text)
        number: Mapped[int | None] = mapped_column(BigInteger)
        real: Mapped[float | None]
        price: Mapped[Decimal | None] = mapped_column(Numeric(20, 5))
        done: Mapped[bool | None]
        kind: Mapped[Kind | None]
        size: Mapped[Size | None] = mapped_column(Enum(Size, values_callable=lambda all: [str(e.value) for e in all]))
        word: Mapped[str | None] = mapped_column(Enum("yes", "no", name="word"))
        day: Mapped[date | None]
        at: Mapped[time | None]
        local: Mapped[datetime | None]
        zoned: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
        data: Mapped[Any | None] = mapped_column(JSON)
        raw: Mapped[bytes | None]
        key: Mapped[UUID | None]
        long: Mapped[timedelta | None] = mapped_column(Interval)
        maker_id: Mapped[int | None] = mapped_column(ForeignKey("makers.id"))
        maker: Mapped[Maker | None] = relationship()
        upper: Mapped[str | None] = mapped_column(Computed("upper(line)", persisted=True))


    class Whole(BaseModel):
        line: str
        text: str | None

        @model_validator(mode="after")
        def are_two(self):
            if self.line == self.text:
                raise ValueError("twice the same")
            return self


    moment = datetime(2026, 1, 2, 3, 4, 5, 678901)
    ROWS = [
        dict(line="x"),
        dict(line=" ", other="", text="", data="", number=0, real=0.0, price=Decimal(0), done=False, at=time(0)),
        dict(line="\na\r\nb ", other=" None", text="\n a\nb\r\nc\rd\n", number=2**53 + 1, real=0.1 + 0.2, done=True,
             price=Decimal("123456789.12345"), kind=Kind.poem, size=Size.large, word="no", day=date(1815, 12, 23),
             at=time(1, 2, 3, 4), local=moment, zoned=moment.replace(tzinfo=timezone(timedelta(hours=2))),
             data={"b": ["\u2028</script>", None, "\ud800"], "a": 1e-7}, raw=b"\0", key=UUID(int=7),
             long=timedelta(days=1, microseconds=3), maker_id=1),
        dict(line="null", other="<b>&amp;", text="</textarea>", number=-5, real=1e22, data=[],
             price=Decimal("0.00001")),
        dict(line="x" * 999, data=False, real=float("inf")),
    ]
"""
PLUGIN = """
    from things.models import ROWS, Base, Maker, Thing, UUID
    from opa import get_instance, get_util


    async def ready() -> None:
        await get_util("sql").create_all(Base.metadata)
        async with get_instance("sql")() as session:
            session.add(Maker(id=1, name="Jane"))
            await session.flush()
            session.add_all(Thing(id=UUID(int=number), **row) for number, row in enumerate(ROWS))
            await session.commit()
"""
ADMIN = """
    from things.models import Maker, Thing, Whole
    from opa import admin

    admin.register(Maker)
    admin.register(Thing, schema=Whole)
"""


@pytest.fixture
def things(library: Library) -> Library:
    """Things with columns of any type, in rows with values of any kind."""
    library.project.plugin("things/__init__.py", PLUGIN)
    library.project.plugin("things/models.py", MODELS)
    library.project.plugin("things/admin.py", ADMIN)
    library.project.settings(PLUGIN_BLACKLIST_LIST=["plugins/library"])
    return library


def test_a_form_that_comes_back_as_it_was_changes_no_value(things: Library) -> None:
    with things.visitor() as ada:
        assert ada.get("/thing/list")[0] == 200
        before = things.rows("select * from things")
        for number in range(len(before)):
            path = f"/thing/edit?pk={UUID(int=number)}"
            form = sent_back(ada.get(path)[1])
            assert len(form) > 15
            for each in (form, {name: value for name, value in form.items() if name != "opa_shown"}):
                status, page = ada.send(path, each)
                assert status == 200, problems(page)
        assert things.rows("select * from things") == before
        # Nor does one value, when another is changed.
        ada.send(path, {**sent_back(ada.get(path)[1]), "line": "y"})
    assert things.rows("select * from things")[:-1] == before[:-1]
    assert things.rows("select line, real, data from things")[-1] == ("y", float("inf"), "false")


def test_what_another_user_has_changed_meanwhile_is_not_lost(things: Library) -> None:
    path = f"/thing/edit?pk={UUID(int=0)}"
    with things.visitor() as ada:
        old = sent_back(ada.get(path)[1])
        ada.send(path, {**old, "text": "of another"})
        assert ada.send(path, {**old, "line": "mine"})[0] == 200
        assert ada.send(path, {**old, "line": "mine"})[0] == 200  # twice, by a double click
        assert things.rows("select line, text from things")[0] == ("mine", "of another")
        status, page = ada.send(path, {**old, "line": "mine too", "text": "mine", "number": "many"})
        said = problems(page)
        assert (status, [text[:25] for text in said]) == (422, [*["This was changed meanwhil"] * 2, said[2]])
        assert things.rows("select line, text from things")[0] == ("mine", "of another")
        again = sent_back(page)
        assert (again["line"], again["text"]) == (["mine too"], ["mine"])
        ada.send(path, {**sent_back(ada.get(path)[1]), "price": "7"})
        assert ada.send(path, {**again, "number": "8"})[0] == 200
        assert things.rows("select line, text, number, price from things")[0] == ("mine too", "mine", 8, 7)
        status, page = ada.send(path, {**sent_back(ada.get(path)[1]), "text": "mine too"})
        assert (status, problems(page)) == (422, ["Value error, twice the same"])
        for nonsense in ("{", "[" * 5000, "7", '{"line": 7}', "{" * 200_000):
            assert ada.send(path, {**old, "opa_shown": nonsense, "line": "n"})[0] == 200


def test_what_a_form_offers_is_taken_and_what_it_does_not_is_refused(things: Library) -> None:
    with things.visitor() as ada:
        page = ada.get("/thing/create")[1]
        assert re.findall(r'<option value="([^"]+)"', page) == ["novel", "poem", "1", "2", "yes", "no"]
        sent = {
            "line": "new",
            "kind": "poem",
            "size": "2",
            "word": "no",
            "real": "0.5",
            "zoned": "2026-01-02T05:04:05+02:00",
        }
        empty = {"upper": "x", "other": "", "text": "", "key": "", "number": "", "day": "", "maker": ""}
        for number in range(2):  # of nothing there may be two, also where each is unique
            status, page = ada.send("/thing/create", {**sent, **empty, "line": f"new {number}"})
            assert status == 200, problems(page)
        columns = "kind, size, word, real, zoned, other, text, key, number, maker_id"
        assert things.rows(f"select {columns} from things where line = 'new 1'") == [
            ("poem", "2", "no", 0.5, "2026-01-02 03:04:05.000000", None, None, None, None, None)
        ]
        for name, value in (
            *(("kind", "p"), ("kind", "song"), ("size", "3"), ("word", "maybe"), ("real", "0x10"), ("maker", "77")),
            *(("maker", "x"), ("number", "1e9"), ("zoned", "9999-12-31T23:59:59-14:00")),
        ):
            status, page = ada.send("/thing/create", {"line": "bad", name: value})
            assert (status, len(problems(page))) == (422, 1), (name, value, problems(page))
        entered = {**sent, "line": "bad", "number": "many", "data": '{"a": [true]}', "done": "on"}
        again = sent_back(ada.send("/thing/create", entered)[1])
        assert {name: again[name] for name in entered} == {name: [value] for name, value in entered.items()}
        assert ada.send("/maker/create", {"name": "planted"})[0] == 500
        status, page = ada.send("/maker/edit?pk=1", {"name": "Jane", "boss": "1"})
        assert (status, problems(page)) == (422, ["This would lead in a circle"])
    assert things.rows("select * from things where line = 'bad'") == []
    assert things.rows("select name from makers") == [("Jane",)]


def test_what_no_value_of_python_is_stays_and_hides_no_other_row(things: Library) -> None:
    odd = {"price": "x", "day": "soon", "at": "25:00", "local": 2026, "zoned": 5, "data": "{", "key": "7", "long": 1}
    empty = dict.fromkeys(("price", "day", "at", "local", "zoned"), "")  # as a browser has it
    path = f"/thing/edit?pk={UUID(int=2)}"
    with things.visitor() as ada:
        ada.get("/thing/list")
        others = things.rows("select * from things where line <> 'null'")
        things.rows(f"update things set {', '.join(f'{name} = ?' for name in odd)} where line = 'null'", *odd.values())
        things.rows("update things set maker_id = 1, size = 'huge' where line = 'null'")
        key = UUID(int=3)
        for page in ("list", "list?q=null", f"detail?pk={key}", f"edit?pk={key}", f"detail?pk={UUID(int=2)}"):
            status, text = ada.get(f"/thing/{page}")
            assert (status, problems(text)) == (200, []), page
        assert "soon" in ada.get("/thing/list")[1]
        assert "1815" in ada.get("/thing/list")[1]
        form = sent_back(ada.get(f"/thing/edit?pk={key}")[1])
        status, page = ada.send(f"/thing/edit?pk={key}", {**form, **empty, "line": "mine"})
        assert status == 200, problems(page)
        columns = ", ".join(odd)
        assert things.rows(f"select line, size, {columns} from things where line = 'mine'") == [
            ("mine", "huge", *odd.values())
        ]
        form = sent_back(ada.get(f"/thing/edit?pk={key}")[1])
        assert ada.send(f"/thing/edit?pk={key}", {**form, **empty, "day": "2026-01-02"})[0] == 200
        assert things.rows("select day, local from things where line = 'mine'") == [("2026-01-02", 2026)]
        status, page = ada.send(path, sent_back(ada.get(path)[1]))
        assert status == 200, problems(page)
        assert things.rows("select * from things where line <> 'mine'") == others
        assert ada.act(f"/thing/row-action?name=delete&pk={key}")[0] == 200


@pytest.mark.docker
def test_what_another_user_is_about_to_change_is_waited_for_by_postgresql_too(
    library: Library, postgres: Postgres
) -> None:
    url = postgres.new_database()
    library.project.component("SQL", "sqlalchemy-async", URL=url)
    waits = f"select 1 from pg_stat_activity where datname = '{url.rpartition('/')[2]}' and wait_event_type = 'Lock'"
    with library.visitor() as ada, psycopg.connect(url) as other, ThreadPoolExecutor(1) as threads:
        assert ada.send("/author/create", {"name": "Jane"})[0] == 200
        form = sent_back(ada.get("/author/edit?pk=1")[1])
        other.execute("update authors set name = 'of another'")
        sending = threads.submit(ada.send, "/author/edit?pk=1", {**form, "name": "mine"})
        try:
            wait_until(lambda: bool(postgres.execute(waits)), what="the form waits for the other change")
        finally:
            other.commit()
        status, page = sending.result(60)
        assert (status, [text[:25] for text in problems(page)]) == (422, ["This was changed meanwhil"])
        # A date that Python does not have.
        other.execute("insert into books (title, owner, published) values ('Iliad', 'x', '0044-03-15 BC')")
        other.commit()
        assert ada.get("/book/list")[0] == 200
        assert "0044-03-15" in ada.get("/book/detail?pk=1")[1]
