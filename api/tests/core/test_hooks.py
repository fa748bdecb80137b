from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from opa import call_hook, call_hook_async
from opa.errors import HookCallError, RegistrationError
from tests.project import Project

DEFINITION = """
from opa import Hook, HookDefinition

class Name(HookDefinition):
    name = 'fullname'
"""


def error_of(project: Project) -> str:
    with pytest.raises(RegistrationError) as caught:
        project.prepare()
    return str(caught.value)


def hook(order: int | None = None, result: str = "None", name: str = "fullname") -> str:
    line = f"order = {order}" if order is not None else ""
    return f"""
from opa import Hook

class A(Hook):
    name = {name!r}
    {line}

    def run(self, *args, **kwargs):
        return {result}
"""


def test_a_hook_of_another_plugin_is_called_with_the_arguments_as_given(project: Project) -> None:
    project.plugin("zz_definition.py", DEFINITION)
    project.plugin("filler.py", hook(result="(args, kwargs)"))
    project.prepare()
    assert call_hook("fullname", 1, [2], name="n", x=None) == ((1, [2]), {"name": "n", "x": None})


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((None,), {}), ((1, 2), {}), ((), {"argument": 1}), ((1,), {"name": 2})]
)
def test_a_hook_gets_the_arguments_that_were_given_and_no_others(
    project: Project, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    project.plugin("filler.py", DEFINITION + hook(result="(args, kwargs)"))
    project.prepare()
    assert call_hook("fullname", *args, **kwargs) == (args, kwargs)


def test_an_asynchronous_hook_is_awaited(project: Project) -> None:
    project.plugin(
        "both.py",
        """
        from opa import Hook, HookDefinition

        class twice(HookDefinition):
            is_async = True

        class fill(Hook):
            name = "twice"
            async def run(self, value):
                return 2 * value
        """,
    )
    project.prepare()
    assert asyncio.run(call_hook_async("twice", 4)) == 8


def test_the_class_name_is_the_name_by_default(project: Project) -> None:
    project.plugin("a.py", "from opa import HookDefinition\nclass greet(HookDefinition): pass")
    project.plugin("b.py", "from opa import Hook\nclass greet(Hook):\n  def run(self): return 'hi'")
    project.prepare()
    assert call_hook("greet") == "hi"


def test_the_highest_order_wins(project: Project) -> None:
    project.plugin("a.py", hook(5, "'high'"))
    project.plugin("b.py", hook(1, "'low'"))
    project.plugin("definition.py", DEFINITION)
    project.prepare()
    assert call_hook("fullname") == "high"


def test_a_default_hook_gives_way_to_one_without_an_order(project: Project) -> None:
    project.plugin("z_default.py", DEFINITION + hook(-1, "'default'"))
    project.plugin("a.py", hook(None, "'own'"))
    project.prepare()
    assert call_hook("fullname") == "own"


def test_a_default_hook_serves_where_there_is_no_other(project: Project) -> None:
    project.plugin("default.py", DEFINITION + hook(-1, "'default'"))
    project.prepare()
    assert call_hook("fullname") == "default"


def test_of_equal_orders_the_hook_that_was_loaded_last_wins(project: Project) -> None:
    project.plugin("definition.py", DEFINITION)
    project.plugin("a.py", hook(2, "'first'"))
    project.plugin("b.py", hook(2, "'last'"))
    project.prepare()
    assert call_hook("fullname") == "last"


def test_of_equal_orders_in_one_file_the_lower_one_wins(project: Project) -> None:
    project.plugin("a.py", DEFINITION + hook(2, "'zz'").replace("class A", "class Zz") + hook(2, "'aa'"))
    project.prepare()
    assert call_hook("fullname") == "aa"


def test_a_class_that_is_only_imported_is_not_registered_again(project: Project) -> None:
    project.plugin("a.py", DEFINITION + hook(1, "1"))
    project.plugin("b.py", "from a import A, Name\nfrom opa import Hook, HookDefinition, Driver, Setup")
    assert len(project.prepare().hook_definitions) >= 1


def test_a_package_may_define_in_a_submodule_and_import_it(project: Project) -> None:
    project.plugin("package/hooks.py", DEFINITION + hook(1, "'sub'"))
    project.plugin("package/__init__.py", "from .hooks import A, Name")
    project.prepare()
    assert call_hook("fullname") == "sub"


def test_a_class_with_a_leading_underscore_is_a_base_class(project: Project) -> None:
    project.plugin("a.py", DEFINITION + "\nclass _Base(Hook):\n  pass\n")
    project.prepare()


def test_two_definitions_of_one_hook_are_an_error(project: Project) -> None:
    first = project.plugin("a.py", DEFINITION)
    second = project.plugin("b.py", DEFINITION)
    error = error_of(project)
    assert "hook 'fullname' is defined twice: in plugin 'b'" in error
    assert f"{first}:4" in error
    assert f"{second}:4" in error


def test_a_hook_without_a_definition_is_an_error(project: Project) -> None:
    file = project.plugin("a.py", hook(name="fulname"))
    assert f"plugin 'a' has a hook for 'fulname', which no plugin defines ({file}:4)" in error_of(project)


@pytest.mark.parametrize(
    ("is_async", "run", "problem", "to_do"),
    [
        (True, "def run", "is defined as async, but this run() is not", "async def run"),
        (False, "async def run", "is not defined as async, but this run() is", "is_async = True"),
    ],
)
def test_wrong_asyncness_is_an_error(project: Project, is_async: bool, run: str, problem: str, to_do: str) -> None:
    project.plugin("a.py", f"from opa import HookDefinition\nclass h(HookDefinition):\n  is_async = {is_async}")
    file = project.plugin("b.py", f"from opa import Hook\nclass h(Hook):\n  {run}(self): pass")
    error = error_of(project)
    assert f"hook 'h' {problem}: plugin 'b', class h" in error
    assert f"{file}:2" in error
    assert to_do in error


def test_a_required_hook_without_an_implementation_is_an_error(project: Project) -> None:
    file = project.plugin("a.py", DEFINITION + "    required = True\n")
    error = error_of(project)
    assert f"hook 'fullname' of plugin 'a' is required, and no plugin that is loaded fills it ({file}:4)" in error
    assert "Hook whose name is 'fullname'" in error


def test_a_required_hook_that_is_filled_is_none(project: Project) -> None:
    project.plugin("a.py", DEFINITION + "    required = True\n")
    project.plugin("b.py", hook())
    project.prepare()


def test_a_hook_without_run_is_an_error(project: Project) -> None:
    file = project.plugin("a.py", DEFINITION + "\nclass B(Hook):\n    name = 'fullname'\n")
    assert f"hook 'fullname' of plugin 'a' has no run() ({file}:" in error_of(project)


def test_calling_a_hook_that_is_not_defined_says_which_are(project: Project) -> None:
    project.plugin("a.py", DEFINITION)
    project.prepare()
    with pytest.raises(HookCallError, match=r"no hook 'other' is defined.*fullname"):
        call_hook("other")


def test_calling_a_hook_without_an_implementation_is_an_error(project: Project) -> None:
    project.plugin("a.py", DEFINITION)
    project.prepare()
    with pytest.raises(HookCallError, match="hook 'fullname' is called, and no plugin that is loaded fills it"):
        call_hook("fullname")


def test_calling_an_asynchronous_hook_synchronously_says_how_to_call_it(project: Project) -> None:
    project.plugin(
        "a.py",
        "from opa import Hook, HookDefinition\n"
        "class h(HookDefinition): is_async = True\n"
        "class fill(Hook):\n  name = 'h'\n  async def run(self): pass\n",
    )
    project.prepare()
    with pytest.raises(HookCallError, match=r"await call_hook_async\('h'"):
        call_hook("h")


def test_calling_a_synchronous_hook_asynchronously_says_how_to_call_it(project: Project) -> None:
    project.plugin("a.py", DEFINITION + hook())
    project.prepare()
    with pytest.raises(HookCallError, match=r"call_hook\('fullname'"):
        asyncio.run(call_hook_async("fullname"))


@pytest.mark.parametrize("args", [(), (1,)])
def test_an_exception_of_a_hook_reaches_the_caller_as_it_is_after_one_run(
    project: Project, args: tuple[int, ...]
) -> None:
    project.plugin("a.py", "ran = []\n" + DEFINITION + hook(result="ran.append(1) or {}['missing']"))
    project.prepare()
    with pytest.raises(KeyError, match="^'missing'$") as caught:
        call_hook("fullname", *args)
    assert sys.modules["a"].ran == [1]
    assert [entry.name for entry in caught.traceback][1:] == ["call_hook", "run"]


@pytest.mark.parametrize("args", [(), (1,)])
def test_the_error_for_an_unknown_hook_has_no_context(project: Project, args: tuple[int, ...]) -> None:
    project.plugin("a.py", DEFINITION)
    project.prepare()
    with pytest.raises(HookCallError) as caught:
        call_hook("other", *args)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_names_of_the_original_module_still_import(project: Project) -> None:
    project.plugin(
        "old.py",
        """
        from opa.core.plugin import (
            BasePlugin, Driver, Hook, HookDefinition, Setup, call_hook, call_hook_async, get_component, get_instance,
            get_plugin_manager, get_router, get_util,
        )
        class old_name(HookDefinition):
            required = True
        class fill(Hook):
            name = "old_name"
            def run(self): return "old"
        """,
    )
    manager = project.prepare()
    module: Any = sys.modules["old"]
    assert module.call_hook("old_name") == "old"
    assert module.get_plugin_manager() is manager
