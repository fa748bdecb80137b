"""What the settings ACCESS and ACCESS_DEFAULT require of which request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from opa.errors import SettingsError
from opa.http.access.rules import IS_OPEN, IS_SIGNED_IN, Rule, Rules
from opa.settings.load import load_settings
from tests.project import Project

ACCESS = {
    "shop": "shop:use",
    "open_shop": "open",
    "/admin": ["admin", "staff"],
    "/admin/help": "open",
    "*": "signed-in",
}


def rule_for(path: str, plugins: Collection[str] = (), access: Any = ACCESS, default: str = "open") -> Rule:
    return Rules(access, default).for_request(path, lambda: plugins)


@pytest.mark.parametrize(
    ("path", "plugins", "rule"),
    [
        ("/orders", {"shop"}, Rule(False, ("shop:use",))),
        ("/orders", {"open_shop"}, IS_OPEN),
        ("/orders", {"other"}, IS_SIGNED_IN),
        ("/orders", set(), IS_SIGNED_IN),
        ("/orders", {"shop", "open_shop"}, Rule(False, ("shop:use",))),
        ("/orders", {"shop", "other"}, Rule(False, ("shop:use",))),
        ("/orders", {"open_shop", "other"}, IS_SIGNED_IN),
        ("/admin", {"open_shop"}, Rule(False, ("admin", "staff"))),
        ("/admin/", {"open_shop"}, Rule(False, ("admin", "staff"))),
        ("/admin/users/1", {"open_shop"}, Rule(False, ("admin", "staff"))),
        ("/admin/help", {"shop"}, IS_OPEN),
        ("/admin/help/me", {"shop"}, IS_OPEN),
        ("/admin/helper", {"shop"}, Rule(False, ("admin", "staff"))),
        ("/administrators", {"open_shop"}, IS_OPEN),
        ("/ADMIN", {"open_shop"}, IS_OPEN),
        ("/v1/admin", {"open_shop"}, IS_OPEN),
    ],
)
def test_the_longest_path_wins_then_the_plugin_then_the_star(path: str, plugins: set[str], rule: Rule) -> None:
    assert rule_for(path, plugins) == rule


@pytest.mark.parametrize(
    "path",
    [
        "/admin\n",
        "//admin",
        "/admin//",
        "/./admin",
        "/x/../admin",
        "/x//../../admin",
        "/../admin",
        "/..//admin",
        "/x/./../admin",
        "\\admin",
        "/\\admin",
        "/x\\..\\admin",
        "/x\\y/../admin",
        "/x//../admin",
        "/%61dmin",
        "/%2561dmin",
        "/x/%2e%2e/admin",
        "/x%2f..%2fadmin",
        "/x/..%5cadmin",
        "/admin%0a",
        "/admin/help/../users",
        "/admin/help/%2e%2e/users",
        "/open/../admin",
    ],
)
def test_a_path_that_can_be_read_as_a_closed_one_is_held_to_its_rule(path: str) -> None:
    rule = rule_for(path, {"open_shop"}, {**ACCESS, "/open": "open"})
    assert {"admin", "staff"} <= set(rule.scopes)


@pytest.mark.parametrize("path", ["/open/../orders", "//open", "/open/%2e%2e/orders", "/open/..\\orders", "/./open"])
def test_a_path_that_can_be_read_as_an_open_one_is_not_open_for_that(path: str) -> None:
    assert rule_for(path, {"shop"}, {"shop": "shop:use", "/open": "open"}).scopes == ("shop:use",)


def test_a_path_that_ends_with_a_line_feed_is_held_to_every_rule() -> None:
    """A mount then hands on another path than the one behind it."""
    assert rule_for("/x/users\n", (), {"/x/x": "admin", "/y": "other"}).scopes == ("admin", "other")


def test_only_as_much_of_a_long_path_is_looked_at_as_a_rule_can_have() -> None:
    looked_at = []

    class Watched(tuple[str, ...]):
        def __getitem__(self, key: Any) -> Any:
            looked_at.append(key)
            return super().__getitem__(key)

    rules = Rules({"/a": "open", "/a/b/c": "admin"}, "open")
    assert rules.for_path(Watched(["a"] * 30_000)) == IS_OPEN
    assert looked_at == [slice(3), slice(1)]


def test_a_rule_for_the_root_holds_for_every_path() -> None:
    rules = {"/": "admin", "/public": "open"}
    assert [rule_for(path, (), rules) for path in ("/", "", "/x/y", "/public/y")] == [
        *[Rule(False, ("admin",))] * 3,
        IS_OPEN,
    ]


def test_the_default_is_for_what_has_no_rule() -> None:
    assert rule_for("/x", {"a"}, {}, "closed") == IS_SIGNED_IN
    assert rule_for("/x", {"a"}, {"*": "open"}, "closed") == IS_OPEN
    assert rule_for("/x", {"a"}, {"b": "admin"}, "open") == IS_OPEN


@pytest.mark.parametrize("access", [{}, {"*": "open"}, {"/x": "open", "*": "open"}])
def test_settings_that_close_nothing_make_no_rules(project: Project, access: dict[str, Any]) -> None:
    project.settings(ACCESS=access)
    assert Rules.from_config(load_settings()) is None


def test_a_plugin_that_is_not_there_stops_the_start(project: Project) -> None:
    project.plugin("shop.py")
    project.settings(ACCESS={"shopp": "admin"})
    with pytest.raises(SettingsError, match="ACCESS: there is no plugin 'shopp'; 'shop' is meant, perhaps"):
        project.app()


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        ({"shop": "closed"}, "closed is not a scope; write open, signed-in"),
        ({"shop": ["open", "a"]}, "open is not a scope"),
        ({"shop": ["signed-in"]}, "signed-in is not a scope"),
        ({"shop": []}, "the list is empty; write signed-in or open"),
        ({"shop": ""}, "is not a scope"),
        ({"shop": "two words"}, "is not a scope"),
        ({"/of/{tenant}": "a"}, "a path has no parameters"),
        ({"/a/../b": "a"}, "its segments are empty or dots"),
        ({"//a": "a"}, "its segments are empty or dots"),
        ({"/%61": "a"}, "compared with the path alone, decoded"),
        ({"shop": True}, "ACCESS"),
        ({"shop": None}, "ACCESS"),
        ("closed", "should be a mapping"),
    ],
)
def test_a_rule_of_access_that_would_have_no_effect_is_a_mistake_in_the_settings(
    project: Project, access: Any, problem: str
) -> None:
    project.settings(ACCESS=access)
    with pytest.raises(SettingsError) as told:
        load_settings()
    assert problem in " ".join(told.value.mistakes)
