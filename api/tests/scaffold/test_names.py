from __future__ import annotations

import pytest

from opa.errors import ProjectError
from opa.scaffold.names import check_plugin_name, check_project_name


@pytest.mark.parametrize("name", ["shop", "my-shop", "my_shop2", "a"])
def test_a_project_has_letters_digits_dashes_and_underscores(name: str) -> None:
    check_project_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "cannot be the name"),
        ("Shop", "cannot be the name"),
        ("2shops", "cannot be the name"),
        ("shop-", "cannot be the name"),
        ("my shop", "cannot be the name"),
        ("größe", "cannot be the name"),
        ("shop\n", r"'shop\\n' cannot be the name"),
        ("-x", "cannot be the name"),
        ("s" * 51, "cannot be the name"),
        ("s" * 5000, "^.s{80}. cannot be the name"),
        ("json", "standard library. Take another one: my-json"),
        ("class", "a keyword of Python"),
        ("opa-stack", "opa-stack itself"),
    ],
)
def test_a_name_that_a_project_cannot_have_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ProjectError, match=problem):
        check_project_name(name)


@pytest.mark.parametrize("name", ["orders", "my_orders", "Orders2"])
def test_a_plugin_has_the_name_of_a_module(name: str) -> None:
    check_plugin_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "cannot be the name of a plugin"),
        ("my-orders", "with a letter first: my_orders"),
        ("orders.py", "with a letter first: orders"),
        ("../orders", "with a letter first: orders"),
        ("_orders", "cannot be the name of a plugin"),
        ("größe", "cannot be the name of a plugin"),
        ("import", "a keyword of Python"),
        ("json", "a module of Python's standard library"),
        ("redis", "an installed module"),
        ("opa", "an installed module"),
        ("conftest", "reserved for pytest"),
        ("test_orders", "reserved for pytest"),
        ("notify", "a plugin of opa-stack"),
    ],
)
def test_a_name_that_a_plugin_cannot_have_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ProjectError, match=problem):
        check_plugin_name(name)
