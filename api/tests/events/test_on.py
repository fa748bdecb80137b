"""What `on` takes, and what `emit` refuses, without a broker."""

from __future__ import annotations

import datetime
import importlib
import json
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from opa import Event, OpaError, get_plugin_manager, get_plugins
from opa.core.around_process import around_process
from opa.errors import PluginImportError
from opa.events.names import FAN_OUT, expression, is_name
from opa.events.payloads import as_json
from tests.project import Project

MESSAGE = {
    "id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "name": "orders.created",
    "emitted_at": "2026-11-30T08:00:00+00:00",
    "payload": None,
}


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("orders.created", ["orders.created"], ["orders.created.twice", "orders-created", "my.orders.created"]),
        ("orders.*", ["orders.created", "orders.item.added"], ["orders", "reorders.created"]),
        ("*.deleted", ["orders.deleted", "a.b.deleted"], ["deleted", "orders.deleted.twice"]),
        ("*", ["orders", "orders.created"], []),
        ("a.**.z", ["a.b.z", "a.b.c.z"], ["a.z"]),
    ],
)
def test_a_pattern_stands_for_names(pattern: str, names: list[str], others: list[str]) -> None:
    matches = expression((pattern, "never")).fullmatch
    assert [name for name in (*names, *others) if matches(name)] == names


def test_a_pattern_with_many_stars_is_matched_at_once() -> None:
    # Far within the limit of a test, where a text that goes back to each of them takes years.
    assert expression(("*a" * 60 + "*b",)).fullmatch("a" * 199 + "c") is None


def test_a_name_is_words_with_dots_between_them() -> None:
    assert all(map(is_name, ("orders", "orders.created", "shop_1.item-sold")))
    wrong: tuple[object, ...] = ("", ".", "orders.", ".created", "a..b", "a b", "orders.*", "a\n", "ä", "a" * 201, None)
    assert not any(map(is_name, wrong))


class Order(BaseModel):
    number: int
    at: datetime.datetime = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)
    labels: set[str] = {"new"}
    customer: str = Field(alias="Customer")


class Login(BaseModel):
    password: SecretStr


def test_json_is_sent_as_it_was_when_it_was_emitted() -> None:
    payload: Any = {"a": [1]}
    sent = as_json("a", payload)
    payload["a"].append(2)
    assert sent == {"a": [1]}


@pytest.mark.parametrize("payload", [None, 1, 1.5, "ä", True, [], {}, {"a": [1, {"b": None}]}])
def test_json_is_sent_as_it_is(payload: Any) -> None:
    assert as_json("a", payload) == payload


def test_what_is_sent_is_not_what_goes_on_to_change() -> None:
    given = {"a": [1]}
    sent = as_json("a", given)
    given["a"].append(2)
    assert sent == {"a": [1]}


def test_a_model_is_sent_as_json() -> None:
    written = as_json("a", Order(number=7, Customer="ben"))
    assert written == {"number": 7, "at": "2026-11-30T00:00:00Z", "labels": ["new"], "customer": "ben"}


@pytest.mark.parametrize(
    "payload",
    [
        *(
            (1,),
            {1: 2},
            {"a": {1}},
            b"",
            datetime.date(2026, 1, 1),
            float("nan"),
            [float("inf")],
            object(),
            {"a": (1,)},
        ),
        *(Login(password=SecretStr("hunter2")), [Order(number=1, Customer="ben")], {"a": {"b": {1: 1}}}),
    ],
    ids=lambda payload: type(payload).__name__,
)
def test_what_would_arrive_as_something_else_is_refused(payload: Any) -> None:
    with pytest.raises(OpaError, match=r"emit\('orders.created'\): the payload is neither JSON nor") as told:
        as_json("orders.created", payload)
    assert "hunter2" not in str(told.value)


def test_a_payload_has_two_hundred_levels_at_most_in_any_version_of_python() -> None:
    class Names(list[Any]):  # no list of its own: read again, and compared
        pass

    def nested(levels: int, innermost: list[Any]) -> Any:
        return innermost if levels == 1 else [nested(levels - 1, innermost)]

    endless: list[Any] = []
    endless.append(endless)
    plain: list[Any] = []
    for innermost in (plain, Names()):
        assert as_json("a", nested(200, innermost)) == nested(200, [])
        for payload in (nested(201, innermost), {"a": nested(200, innermost)}):
            with pytest.raises(OpaError, match=r"neither JSON.*: it is nested in more than 200 levels"):
                as_json("a", payload)
    for payload in (endless, json.loads("[" * 900 + "]" * 900)):
        with pytest.raises(OpaError, match="neither JSON"):
            as_json("a", payload)


@pytest.mark.parametrize(
    "message",
    [
        *(None, [], "a", {}, MESSAGE | {"id": "7"}, MESSAGE | {"id": 7}, MESSAGE | {"name": "a\n"}),
        *(MESSAGE | {"name": 3}, MESSAGE | {"emitted_at": None}, MESSAGE | {"emitted_at": "today"}),
    ],
)
def test_a_message_that_is_no_event_is_told(message: Any) -> None:
    assert Event.from_message(MESSAGE).message() == MESSAGE
    with pytest.raises(OpaError, match="the message is no event"):
        Event.from_message(message)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("@on\ndef f(): ...", r"@on takes names of events, such as 'orders.created' or 'orders.\*', not <function f"),
        ("@on()\ndef f(): ...", "@on takes names of events"),
        ("@on('a b')\ndef f(): ...", "not 'a b'. Write the name in parentheses"),
        ("@on('a', bind=True)\ndef f(): ...", "@on takes no bind"),
        ("@on('a', here=True, queue='slow')\ndef f(): ...", r"@on\(…, here=True\) takes no queue"),
        ("@on('a')\ndef f(a, b): ...", "a handler of events has the parameter 'b', and nothing is given for it"),
        ("@on('a')\ndef f(*a): ...", r"a handler of events has the parameter '\*a', which it cannot be given"),
        ("@on('a', here=True)\ndef f(a, r=Component('x')): ...", "which it cannot be given"),
        (
            "@on('a')\ndef f(a: 'Nothing'): ...",
            "the parameter 'a' of a handler of events has the type Nothing, which is",
        ),
        ("@on('a')\ndef f():\n    yield", "that yields nothing"),
        ("class C: ...\n@on('a')\ndef f(a: C): ...", "the annotation of 'a' cannot be read by Pydantic"),
        ("@on('a', here=True)\n@on('b', here=True)\ndef f(): ...", r"the handler shop.f \(here\) is there already"),
        ("@on('a')\nclass F: ...", "that yields nothing"),
        ("@on('a')\n@task\ndef f(): ...", "Put @on below other decorators"),
        ("@on('a')\ndef f(): ...\n@on('b')\ndef f(): ...", "task 'shop.f' is defined twice"),
    ],
)
def test_a_handler_that_is_wrong_stops_the_start_with_its_place(project: Project, code: str, told: str) -> None:
    file = project.plugin("shop.py", f"from opa import Component, on, task\n\n{code}\n")
    with pytest.raises(PluginImportError, match=told) as error:
        project.prepare()
    assert (error.value.plugin, str(error.value.where).partition(":")[0]) == ("shop", str(file))


def test_handlers_of_a_plugin_that_is_skipped_are_gone(project: Project) -> None:
    project.plugin("shop/__init__.py", "class ready: ...\nready = 3")
    project.plugin("shop/events.py", "from opa import on\n@on('a')\ndef f(): ...")
    project.plugin("other/__init__.py")
    project.plugin("other/events.py", "from opa import on\n@on('a')\ndef f(): ...")
    project.settings(PLUGIN_FAILURE="skip")
    project.prepare()
    assert list(get_plugins("event_handlers")) == ["other.events.f"]


def test_a_worker_knows_the_task_of_events_also_where_its_plugins_handle_none(project: Project) -> None:
    project.plugin("shop.py", "")
    manager = project.prepare("worker")
    with around_process(manager):
        assert FAN_OUT in manager.celery.tasks
    assert get_plugin_manager() is manager


def test_a_filter_may_leave_events_out(project: Project) -> None:
    from opa import emit_sync

    project.settings(PLUGIN_BLACKLIST_RE=".*/core_events")
    project.prepare()
    with pytest.raises(OpaError, match="a filter of plugins leaves out core_events"):
        emit_sync("a")


def test_a_payload_is_read_for_a_handler_unless_its_type_says_that_it_fits(project: Project) -> None:
    project.plugin(
        "shop.py",
        """
        from opa import on
        from pydantic import BaseModel

        class A(BaseModel):
            a: int

        class Other(A):
            a: str

        @on("a")
        def model(order: A): ...

        @on("a")
        def plain(order: dict): ...
        """,
    )
    project.prepare()
    shop = importlib.import_module("shop")

    model, plain = (get_plugins("event_handlers")[f"shop.{name}"] for name in ("model", "plain"))
    for emitted in (shop.A(a=1), shop.Other(a="1"), {"a": 1}):
        event = Event.from_message({**MESSAGE, "payload": as_json("a", emitted)})
        model.check(event, emitted)
        plain.check(event, emitted)
    for emitted in (shop.Other(a="b"), {"a": "b"}, {}, [], 1):
        with pytest.raises(OpaError, match="does not fit the handler shop.model"):
            model.check(Event.from_message({**MESSAGE, "payload": as_json("a", emitted)}), emitted)
    with pytest.raises(OpaError, match="does not fit the handler shop.plain"):
        plain.check(Event.from_message({**MESSAGE, "payload": []}), [])


def test_a_type_that_the_type_checker_alone_knows_is_told_where_it_is_needed(project: Project) -> None:
    head = (
        "from __future__ import annotations\nfrom typing import Annotated\nfrom opa import Component, on\n"
        "@on('orders.created')\nasync def f(payload: {}, redis: Annotated[Redis, Component('aioredis')]) -> Told: ...\n"
    )
    project.plugin("a.py", head.format("dict[str, int]"))
    project.prepare()
    project.plugin("a.py", head.format("list[Order]"))
    with pytest.raises(
        PluginImportError, match=r"'payload' of a handler of events has the type list\[Order\], which is not"
    ):
        project.prepare()
