from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opa import get_plugins, run_group
from opa.core.running import run_group_async
from opa.errors import GroupError
from tests.project import Project

CHECKS = """
import string as module

class Outer:
    class Inner:
        pass

    def method(self):
        return "method"

def email(text):
    return "@" in text

async def later(text):
    return "later " + text

def broken(text):
    raise ValueError(text)

instance = Outer()

class Limit:
    maximum = 1
    def configure(self, maximum):
        self.maximum = maximum

class Plain:
    def __init__(self, size=0):
        self.size = size

shared = Limit()

def make(size):
    return ("made", size)
"""


def error_of(project: Project) -> GroupError:
    with pytest.raises(GroupError) as caught:
        project.prepare()
    return caught.value


def group(project: Project, *entries: Any) -> list[Any]:
    project.plugin("checks.py", CHECKS)
    project.settings(PLUGINS={"things": list(entries)})
    return list(project.prepare().groups.get("things").values())


def test_a_uri_names_a_function_a_class_an_instance_an_attribute_inside_or_a_module(project: Project) -> None:
    import string

    found = group(
        project,
        "checks.email",
        "checks:Outer",
        "checks.instance",
        "checks.Outer.Inner",
        "checks:instance.method",
        "string",
        "os.path",
    )
    names = [getattr(value, "__name__", type(value).__name__) for value in found]
    assert names == ["email", "Outer", "Outer", "Inner", "method", "string", "posixpath"]
    assert found[5] is string


def test_a_module_of_a_package_can_be_named(project: Project) -> None:
    project.plugin("myapp/__init__.py")
    project.plugin("myapp/middleware/__init__.py")
    project.plugin("myapp/middleware/auth.py", "def check(): return 'checked'")
    project.settings(PLUGINS={"g": ["myapp.middleware.auth", "myapp.middleware.auth.check"]})
    module, check = project.prepare().groups.get("g").values()
    assert (module.__name__, check()) == ("myapp.middleware.auth", "checked")


def test_groups_are_ordered_read_only_and_merge_layer_by_layer_the_first_of_a_double_stays(project: Project) -> None:
    project.plugin("checks.py", CHECKS)
    project.settings(PLUGINS={"a": ["checks.email", "checks.broken"]})
    project.plugin(
        "more.toml", '[default.PLUGINS]\na = ["checks.make", "checks.email"]\nb = ["checks"]\n', folder="settings"
    )
    project.prepare()
    assert list(get_plugins("a")) == ["checks.email", "checks.broken", "checks.make"]
    assert list(get_plugins("b")) == ["checks"]
    assert dict(get_plugins("nothing")) == {}
    with pytest.raises(TypeError):
        get_plugins("a")["x"] = 1  # type: ignore[index]


def test_every_bad_uri_is_reported_at_once_and_told_apart(project: Project) -> None:
    project.plugin("checks.py", CHECKS)
    project.plugin("package/__init__.py")
    project.plugin("package/bad.py", "import nowhere_to_be_found")
    uris = ["nowhere.x", "checks.emial", "checks.Outer.Iner", "package.bad.x", "package.nothing", ""]
    project.settings(PLUGINS={"g": uris})
    error = error_of(project)
    assert error.mistakes == (
        "PLUGINS.g: 'nowhere.x': there is no module 'nowhere'",
        "PLUGINS.g: 'checks.emial': module 'checks' has no attribute 'emial', did you mean 'email'?",
        "PLUGINS.g: 'checks.Outer.Iner': class 'checks.Outer' has no attribute 'Iner', did you mean 'Inner'?",
        "PLUGINS.g: 'package.bad.x': module 'package.bad' does not import:"
        " ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        "PLUGINS.g: 'package.nothing': module 'package' has no attribute 'nothing'",
        "PLUGINS.g: '': '' is not a URI such as package.module.attribute",
    )


def test_a_string_where_a_list_belongs_is_a_mistake_in_the_settings(project: Project) -> None:
    from opa.errors import SettingsError

    project.settings(PLUGINS={"g": "checks.email"})
    with pytest.raises(SettingsError, match=r"PLUGINS\.g: .*should be a list"):
        project.prepare()


def test_a_plugin_may_register_in_code_behind_the_settings(project: Project) -> None:
    project.plugin("checks.py", CHECKS)
    project.plugin(
        "coded.py",
        """
        from opa import register

        @register("validators")
        def phone(text):
            return text.isdigit()
        """,
    )
    project.settings(PLUGINS={"validators": ["checks.email"]})
    project.prepare()
    assert list(get_plugins("validators")) == ["checks.email", "coded.phone"]


def test_run_group_calls_each_in_order_and_says_what_each_returned_or_raised(project: Project) -> None:
    group(project, "checks.broken", "checks.email")
    outcomes = run_group("things", "a@b")
    assert list(outcomes) == ["checks.broken", "checks.email"]
    assert isinstance(outcomes["checks.broken"].error, ValueError)
    assert outcomes["checks.email"].value is True


def test_its_asynchronous_twin_awaits(project: Project) -> None:
    group(project, "checks.later", "checks.email")
    outcomes = asyncio.run(run_group_async("things", "x"))
    assert [outcome.value for outcome in outcomes.values()] == ["later x", False]


def test_an_object_is_configured_with_the_settings_of_its_uri(project: Project) -> None:
    limit, shared, plain, made = group(
        project,
        {"URI": "checks.Limit", "OPTS": {"maximum": 5}},
        {"URI": "checks.shared", "OPTS": {"MAXIMUM": 6}},
        {"uri": "checks.Plain", "opts": {"size": 7}},
        {"URI": "checks.make", "OPTS": {"size": 8}, "FACTORY": True},
    )
    assert (limit.maximum, shared.maximum, plain.size, made) == (5, 6, 7, ("made", 8))


def test_settings_for_something_that_takes_none_are_a_mistake(project: Project) -> None:
    project.plugin("checks.py", CHECKS)
    project.settings(
        PLUGINS={"g": [{"URI": "checks.email", "OPTS": {"x": 1}}, {"URI": "checks.Plain", "OPTS": {"y": 1}}]}
    )
    first, second = error_of(project).mistakes
    assert "has OPTS, and a function without configure() takes none" in first
    assert "unexpected keyword argument 'y'" in second
