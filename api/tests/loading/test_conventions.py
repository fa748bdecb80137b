"""The table of conventions, the page that shows it, and the code that looks for them are the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import opa
from opa.core.register import BASES
from opa.errors import PluginImportError, RegistrationError
from opa.loading import conventions
from opa.loading.conventions import CONVENTIONS, Convention, of_kind
from tests.project import Project

PACKAGE = Path(opa.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "conventions.md"
CONSTANTS = {name: value for name, value in vars(conventions).items() if isinstance(value, Convention)}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_bytes())


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in ("plugins", "demo-plugins"):
            module = str(path.relative_to(PACKAGE))
            yield module, tree_of(module)


def by_name(convention: Convention) -> str:
    return f"{convention.name} ({convention.kind})"


def test_the_page_has_the_table_of_the_code() -> None:
    rows = [line for line in PAGE.read_text().partition("\n## ")[0].splitlines() if line.startswith("| `")]
    without_links = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", row) for row in rows]
    table = [f"| `{c.name}` | {c.kind} | {c.does} | `{c.found_by}` |" for c in CONVENTIONS]
    assert without_links == table, "docs/conventions.md has another table than loading/conventions.py"


def test_each_convention_that_is_declared_is_in_the_table() -> None:
    assert sorted(CONSTANTS.values(), key=by_name) == sorted(CONVENTIONS, key=by_name), "CONVENTIONS lacks a constant"


def test_no_two_conventions_of_one_kind_have_one_name() -> None:
    names = [by_name(convention) for convention in CONVENTIONS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    "name", [name for name, value in CONSTANTS.items() if value.kind not in ("module", "class", "object", "decorator")]
)
def test_code_that_looks_for_a_convention_takes_its_name_from_the_table(name: str) -> None:
    used = set(names_in(tree_of(CONSTANTS[name].found_by)))
    if name in ("STARTUP_GROUP", "SHUTDOWN_GROUP"):
        assert "GROUPS" in used
        used |= set(names_in(tree_of("core/lifecycle.py")))
    assert name in used


def test_modules_of_a_package_that_are_imported_with_it_are_those_of_the_table() -> None:
    assert "of_kind" in set(names_in(tree_of("loading/importing.py")))


def test_classes_that_are_collected_are_those_of_the_table() -> None:
    assert sorted(base.__name__ for base in BASES) == sorted(convention.name for convention in of_kind("class"))


@pytest.mark.parametrize("convention", of_kind("decorator"), ids=by_name)
def test_a_decorator_is_public_and_where_the_table_says(convention: Convention) -> None:
    assert convention.name in opa.__all__
    home = getattr(opa, convention.name).__module__
    assert home.removeprefix("opa.").replace(".", "/") + ".py" == convention.found_by


def test_no_code_asks_a_plugin_for_a_name_that_is_not_in_the_table() -> None:
    """What is at the top of a plugin is had by `attribute`, which takes a convention: of the table, or a plugin's."""
    asked = [
        (module, ast.unparse(call.args[0]))
        for module, call in calls("attribute")
        if not isinstance(call.args[0], ast.Attribute) or call.args[0].attr not in CONSTANTS
        if (module, ast.unparse(call.args[0])) != ("loading/importing.py", "convention")
    ]
    assert asked == [], "take the name from loading/conventions.py"


def test_no_code_asks_for_a_group_that_is_not_in_the_table() -> None:
    asked = [
        (module, ast.unparse(call))
        for method in ("get", "members")
        for module, call in calls(method)
        if ast.unparse(call.func).endswith(f"groups.{method}") and call.args and isinstance(call.args[0], ast.Constant)
    ]
    assert asked == [], "take the name of the group from loading/conventions.py"


def test_no_other_file_of_a_plugin_is_looked_for() -> None:
    found = [
        (module, node.value)
        for module, tree in trees()
        if module.startswith(("loading/", "core/")) and module != "loading/conventions.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[\w-]+\.(json|toml|py)", node.value)
        and node.value != "__init__.py"
    ]
    assert found == [], "take the name of the file from loading/conventions.py"


DECLARES = """
    from opa import Convention

    ADMIN = Convention("report.py", "pages of the console")
    PAGES = Convention("pages/", "files that are shown")
    TITLE = Convention("title", "stands above them")
"""


def declared(project: Project, plugin: str) -> dict[str, dict[str, object]]:
    """What the plugins have under the conventions that `plugin` declares."""
    manager = project.prepare()
    found = next(each for each in manager.registry.objects if each.plugin.name == plugin)
    return {each.name: manager.found(each) for each in conventions.declared_in(found.plugin.module)}


@pytest.mark.parametrize("name", ["a_console", "z_console"], ids=["declared first", "declared last"])
def test_a_plugin_finds_what_others_have_under_its_own_conventions(project: Project, name: str) -> None:
    project.plugin(f"{name}.py", DECLARES)
    project.plugin("shop/__init__.py", "title = 'Shop'")
    project.plugin("shop/report.py", "pages = ['orders']")
    project.plugin("shop/pages/one.html")
    project.plugin("single.py", "title = 'Single'")
    found = declared(project, name)
    assert [vars(module)["pages"] for module in found["report.py"].values()] == [["orders"]]
    assert found["pages/"] == {"shop": project.plugins / "shop" / "pages"}
    assert found["title"] == {"shop": "Shop", "single": "Single"}


def test_a_module_of_a_convention_may_be_a_package(project: Project) -> None:
    project.plugin("declares.py", DECLARES)
    project.plugin("shop/__init__.py")
    project.plugin("shop/report/__init__.py")
    assert list(declared(project, "declares")["report.py"]) == ["shop"]


@pytest.mark.parametrize("name", ["a_console", "z_console"], ids=["declared first", "declared last"])
def test_a_module_of_a_convention_that_does_not_import_is_reported_with_its_place(project: Project, name: str) -> None:
    project.plugin(f"{name}.py", DECLARES)
    project.plugin("shop/__init__.py")
    file = project.plugin("shop/report.py", "1 / 0")
    with pytest.raises(
        PluginImportError, match="report.py of plugin 'shop' does not import: ZeroDivisionError"
    ) as told:
        project.prepare()
    assert told.value.where == f"{file}:1"


def test_a_convention_that_is_imported_from_another_plugin_is_that_one(project: Project) -> None:
    project.plugin("declares.py", DECLARES)
    project.plugin("asks.py", "from declares import TITLE\ntitle = 'Asks'")
    assert declared(project, "declares")["title"] == {"asks": "Asks"}


@pytest.mark.parametrize(
    ("first", "second", "owner"),
    [("pages/", "router", "opa-stack"), ("tasks/", "tasks.py", "opa-stack"), ("pages/", "pages/", "plugin 'a'")],
)
def test_a_convention_that_is_there_already_is_refused(project: Project, first: str, second: str, owner: str) -> None:
    for plugin, name in (("a", first), ("b", second)):
        project.plugin(f"{plugin}.py", f"from opa import Convention\nX = Convention({name!r}, 'of {plugin}')")
    with pytest.raises(RegistrationError, match=f"plugin 'b' declares the convention '{second}', which {owner} has"):
        project.prepare()


@pytest.mark.parametrize("name", ["", "two words", "data.json", "../up/", "a.b.py"])
def test_a_name_that_no_plugin_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is nothing that a plugin can have"):
        Convention(name, "nothing")


def test_a_convention_that_no_plugin_declares_is_reported_as_such(project: Project) -> None:
    with pytest.raises(RegistrationError, match=r"no loaded plugin declares the convention 'report.py'. Write it"):
        project.prepare().found(Convention("report.py", "pages"))


NOTES = """
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from opa import Convention, OpaError

    def routes_of(plugin, note):
        if note == "wrong":
            raise OpaError("the note is wrong", where="here", hint="Write another")
        if note == "odd":
            return [3]
        async def answer(request):
            return PlainTextResponse(f"{note} of {plugin}")
        return [Route(f"/notes/{plugin}", routes_of if note == "shared" else answer)]

    NOTE = Convention("note", "a text that is served", routes=routes_of)
"""


def test_a_convention_makes_routes_of_what_it_finds(project: Project) -> None:
    project.plugin("notes.py", NOTES)
    project.plugin("a.py", "note = 'first'")
    project.plugin("b.py", "note = 'second'")
    with project.client() as client:
        assert client.get("/notes/a").text == "first of a"
        assert client.get("/notes/b").text == "second of b"
        assert client.get("/notes/notes").status_code == 404


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ("wrong", "the note is wrong (here). Write another"),
        ("odd", "plugin 'notes' cannot make routes of 'note' of plugin 'b': TypeError: 3 is not a Route of Starlette"),
        (
            "shared",
            "is that of plugin 'a' too; make one for each (shared). Fix the routes of that convention in plugin",
        ),
    ],
)
def test_routes_that_a_convention_cannot_make_are_told_with_the_plugin(project: Project, note: str, told: str) -> None:
    project.plugin("notes.py", NOTES)
    project.plugin("a.py", "note = 'shared'" if note == "shared" else "")
    project.plugin("b.py", f"note = {note!r}")
    with pytest.raises(RegistrationError) as error:
        project.app()
    assert told in str(error.value)
    assert error.value.plugin == "b"
    project.settings(PLUGIN_FAILURE="skip")
    project.app()


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def calls(method: str) -> Iterator[tuple[str, ast.Call]]:
    for module, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
                yield module, node
