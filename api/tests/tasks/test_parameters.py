"""What the annotations of a task carry, and what is refused where it is sent."""

from __future__ import annotations

import enum
import gc
import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from celery.app import app_or_default
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, SecretStr

from opa.errors import TaskArgumentError
from opa.tasks.application import TaskApplication
from opa.tasks.codec import Limits, Sending, UnfitError, encode
from opa.tasks.marks import TooLargeError, Typed
from opa.tasks.parameters import parameters_of
from opa.tasks.serializer import Unread, decode

if TYPE_CHECKING:
    from collections import OrderedDict

PAGE = Path(__file__).parents[3] / "docs" / "tasks.md"


class Color(enum.Enum):
    RED = "red"
    NONE = (0, 0)


class Size(enum.StrEnum):
    SMALL = "s"


class Item(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    name: str = Field(default="", alias="Name")
    price: float | Decimal = 1.0
    raw: bytes = b""
    colors: set[Color] = set()
    long: timedelta = timedelta(1)
    note: str | None = None
    _seen: int = PrivateAttr(0)


class Sold(Item):
    buyer: str = ""


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    color: Color
    at: datetime


class Login(BaseModel):
    password: SecretStr


@dataclass
class Order:
    items: list[Item]
    parts: list[Order] = field(default_factory=list)


class Place(NamedTuple):
    row: int
    color: Color | None


class Name(str):
    __slots__ = ()


class Opaque:
    def __json__(self) -> dict[str, int]:
        return {"a": 1}


@pytest.fixture
def app() -> Iterator[TaskApplication]:
    before = app_or_default()
    app = TaskApplication()
    app.configure_tasks()
    yield app
    before.set_current()
    before.set_default()


Annotate = Callable[[Any], None]


@pytest.fixture
def annotate(app: TaskApplication) -> Annotate:
    """Makes a task whose argument and result are annotated."""

    def annotate(annotation: Any) -> None:
        def take(value, /, *values, key=None, **keys):  # type: ignore[no-untyped-def]
            return value

        if annotation is not None:
            take.__annotations__ = dict.fromkeys(("value", "values", "key", "keys", "return"), annotation)
        app.task(take, name="take")

    return annotate


def arrives(app: TaskApplication, *args: Any, **kwargs: Any) -> Any:
    """What a task of the name `take` is given."""
    app.finalize()
    with Sending(Limits(), "take", app.parameters_of):
        return decode(encode((args, kwargs, {"chain": None})))


NOW = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
TABLE: dict[str, tuple[Any, list[Any], bool]] = {
    "texts, numbers": (None, [{"a": [1, 2.5, True, None, ("b", ()), {1: {}, None: {(1, 2): "__type__"}}]}], True),
    "`datetime`, `date`": (
        None,
        [NOW, NOW.timetz(), NOW.astimezone(UTC), date(2026, 1, 2), time(3, 4), Decimal("1.10"), UUID(int=5), b"\xff"],
        True,
    ),
    "Pydantic models": (
        Item | Order | Place | timedelta | Path | dict[Color, set[int]] | None,
        [Item(Name="tea"), Order([Item()]), Place(1, Color.RED), timedelta(2), Path("a"), {Color.RED: {1}}],
        True,
    ),
    "the same where": (Item, [Sold(), Order([]), Color.RED, {1}, object(), Opaque(), [Item()]], False),
    "a subclass of": (None, [Size.SMALL, Name("a"), Place(1, None)], True),
    "more than": (None, ["x" * 2_000_000], False),
}


def test_the_page_has_a_row_for_each_of_these(app: TaskApplication) -> None:
    rows = (
        PAGE.read_text().partition("## Arguments and results")[2].partition("| --- | --- |\n")[2].partition("\n\n")[0]
    )
    for row in rows.splitlines():
        assert row.removeprefix("| ").startswith(tuple(TABLE)), row
    assert len(rows.splitlines()) == len(TABLE)


@pytest.mark.parametrize("row", TABLE)
def test_the_table_of_the_page_holds(app: TaskApplication, annotate: Annotate, row: str) -> None:
    annotation, values, is_carried = TABLE[row]
    annotate(annotation)
    for value in values:
        if not is_carried:
            with pytest.raises((UnfitError, ValueError)):
                arrives(app, value)
            continue
        (one, *more), keys, _ = arrives(app, value, value, value, key=value, other=value)
        assert [one, *more, *keys.values()] == [value] * 5
        if row != "a subclass of":
            assert type(one) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Strict, Strict(color=Color.NONE, at=datetime.now(UTC))),
        (set[Strict], {Strict(color=Color.RED, at=datetime.now(UTC))}),
        (list[Item | Sold], [Item(), Sold(buyer="me", raw=b"\xff")]),
        (Annotated[Order, "sold"], Order([], [Order([Item(price=Decimal("1.10"))])])),
        (dict[str, tuple[Place, ...]], {"a": (Place(1, Color.NONE), Place(2, None))}),
        (frozenset[Size], frozenset(Size)),
        (Size, Size.SMALL),
        (bytes | Color, b"red"),
        (Item | dict[str, Any], {"name": "a dict"}),
        ("list[Color] | None", [Color.RED]),
    ],
)
def test_an_annotation_carries_what_json_has_not(
    app: TaskApplication, annotate: Annotate, annotation: Any, value: Any
) -> None:
    annotate(annotation)
    arrived = arrives(app, value)[0][0]
    assert arrived == value
    assert type(arrived) is type(value)


def test_a_model_knows_in_the_task_which_fields_were_set(app: TaskApplication, annotate: Annotate) -> None:
    class Change(BaseModel):
        name: str | None = None
        price: int | None = None

    annotate(Change)
    assert arrives(app, Change(name=None))[0][0].model_dump(exclude_unset=True) == {"name": None}


def test_a_model_whose_cached_property_was_read_is_sent(app: TaskApplication, annotate: Annotate) -> None:
    class Page(BaseModel):
        text: str

        @cached_property
        def words(self) -> list[str]:
            return self.text.split()

    class Lines(RootModel[list[str]]):
        @cached_property
        def longest(self) -> int:
            return max(map(len, self.root))

    annotate(Page | Lines)
    page, lines = Page(text="a b"), Lines(["a", "bc"])
    assert (page.words, lines.longest) == (["a", "b"], 2)
    assert arrives(app, page, lines)[0] == [page, lines]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Login, Login(password=SecretStr("hunter2"))),
        (Item, Sold()),
        (list[Item], [Sold()]),
        (Any, {1}),
        (object, {1}),
        (None, bytearray(b"a")),
        ("Unknown", Item()),
    ],
)
def test_an_argument_that_its_annotation_would_read_as_something_else_is_refused(
    app: TaskApplication, annotate: Annotate, annotation: Any, value: Any
) -> None:
    annotate(annotation)
    for given in ({"args": [value], "called": "'value'"}, {"args": [1], "key": value, "called": "'key'"}):
        called = given.pop("called")
        with pytest.raises(UnfitError) as caught:
            arrives(app, *given.pop("args"), **given)
        assert caught.value.what == f"argument {called} ({type(value).__name__})"
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (
            Opaque,
            "its annotation cannot be read by Pydantic: Unable to generate pydantic-core schema for <class .*Opaque",
        ),
        ("Unknown", "its annotation cannot be resolved: name 'Unknown' is not defined"),
        (None, "there is no annotation by which it could be read"),
    ],
)
def test_sending_a_task_tells_the_reason_for_which_an_annotation_cannot_be_read(
    app: TaskApplication, annotate: Annotate, annotation: Any, reason: str
) -> None:
    annotate(annotation)
    with pytest.raises(UnfitError, match=reason):
        arrives(app, object())


def test_an_annotation_that_cannot_be_resolved_does_not_affect_the_others(app: TaskApplication) -> None:
    def take(item: Item, other: OrderedDict[str, int]) -> None: ...

    app.task(take, name="take")

    assert arrives(app, Item(Name="tea"), {"a": 1})[0][0].name == "tea"


def test_nothing_of_a_plugin_runs_where_a_message_is_only_looked_at(app: TaskApplication, annotate: Annotate) -> None:
    annotate(Item)
    with Unread():
        (found,), _, _ = arrives(app, Item(Name="tea"))
    assert isinstance(found, Typed)
    assert arrives(app, found)[0][0].name == "tea"  # it can be sent on


def test_an_argument_of_another_version_of_the_plugin_is_an_error_that_says_so(app: TaskApplication) -> None:
    def take(item: Item, key: Any = None) -> None: ...

    app.task(take, name="take")

    app.finalize()
    for name, problem in (("item", "cannot be read by its annotation"), ("key", "has no annotation here")):
        with Sending(Limits(), "take", app.parameters_of):
            body = encode(([Typed("take", name, {"price": "dear"})], {}, {}))
        with pytest.raises(TaskArgumentError, match=f"argument '{name}' {problem}"):
            decode(body)


def test_a_task_whose_name_is_not_known_here_is_sent_what_json_has(app: TaskApplication) -> None:
    with Sending(Limits(), "elsewhere", app.parameters_of):
        assert decode(encode(((1, (2,)), {"a": NOW}, {}))) == [[1, (2,)], {"a": NOW}, {}]
        with pytest.raises(UnfitError) as caught:
            encode(((1, Item()), {}, {}))
    assert caught.value.what == "argument number 2 (Item)"


def test_names_that_messages_say_are_not_kept(app: TaskApplication, annotate: Annotate) -> None:
    annotate(Item)
    app.finalize()
    parameters = app.parameters_of("take")
    assert parameters is not None
    assert arrives(app, Item(Name="tea"))
    kept = set(parameters._adapters)
    for name in ("none", "such", "value "):
        with pytest.raises(TaskArgumentError, match="has no annotation here"):
            parameters.read(Typed("take", name, {}))
    assert set(parameters._adapters) == kept


@pytest.mark.parametrize(
    "value", [["take", [1], {}, False, 0], [{}, "value", {}, False, 0], ["take", "value", {}, 0, "0"], [1, 2, 3, 4, 5]]
)
def test_a_dict_that_only_looks_like_an_annotated_value_stays_a_dict(
    app: TaskApplication, annotate: Annotate, value: list[Any]
) -> None:
    annotate(Item)
    app.finalize()
    found = {"__type__": "typed", "__value__": value}
    assert decode(json.dumps(found)) == found


def test_a_task_that_is_gone_keeps_nothing_in_memory(app: TaskApplication) -> None:
    def take(self: Any, item: Item) -> None: ...

    app.task(take, name="take", bind=True)

    assert parameters_of(app.tasks["take"]) is parameters_of(app.tasks["take"])
    reference = weakref.ref(app.tasks["take"])
    del app.tasks["take"], take
    gc.collect()
    assert reference() is None


def test_an_argument_of_a_task_that_is_sent_later_and_is_too_deep_is_told_so(
    app: TaskApplication, annotate: Annotate
) -> None:
    annotate(Order)
    app.finalize()
    signature: dict[str, object] = {
        "task": "take",
        "args": [Order([], [Order([], [Order([])])])],
        "kwargs": {},
        "subtask_type": None,
    }
    with (
        Sending(Limits(depth=3), "other", app.parameters_of),
        pytest.raises(TooLargeError, match="TASK_MAX_DEPTH is 3"),
    ):
        encode(((), {}, {"chain": [signature]}))
