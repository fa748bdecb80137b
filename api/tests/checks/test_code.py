from __future__ import annotations

import ast
from types import SimpleNamespace

import pytest

from opa._util.reading import MAX_FILE_BYTES
from opa.checks import findings_in_application
from opa.checks.code import Code
from tests.project import Project

UNUSED = "from opa import BaseMiddleware\nclass Gate(BaseMiddleware): ...\nclass Door(BaseMiddleware): ...\n"
SENDS = "def build(): ...\ndef send():\n    build.delay()\n"


def test_the_code_is_that_of_the_loaded_plugins_with_their_submodules(project: Project) -> None:
    project.plugin("a.py", "x = 1")
    project.settings(PLUGIN_FAILURE="skip")
    project.plugin("broken.py", "import not_there")
    project.plugin("shop/__init__.py", "from shop import parts")
    project.plugin("shop/parts.py", "y = 2")
    code = Code(project.prepare())
    assert [(plugin, module.__name__) for plugin, module in code.modules] == [
        ("a", "a"),
        ("shop", "shop"),
        ("shop", "shop.parts"),
    ]


def test_a_folder_without_init_has_none_and_of_a_file_that_is_gone_it_is_not_known(project: Project) -> None:
    file = project.plugin("gone.py", "x = 1")
    spoiled = project.plugin("spoiled.py", "x = 1")
    project.plugin("shop/__init__.py", "import shop.parts.a")
    project.plugin("shop/parts/a.py", "y = 2")
    code = Code(project.prepare())
    file.unlink()
    spoiled.write_text("x =")
    trees = {module.__name__: code.tree_of(module) for _, module in code.modules}
    assert {name: tree and len(tree.body) for name, tree in trees.items()} == {
        "gone": None,
        "spoiled": None,
        "shop": 1,
        "shop.parts": 0,
        "shop.parts.a": 1,
    }


@pytest.mark.parametrize(
    "text", [f"x = {'-' * 100_000}1", f"x = {'+'.join(['1'] * 100_000)}", "#" * (MAX_FILE_BYTES + 1)]
)
def test_of_what_is_nested_too_deeply_or_too_large_there_is_no_tree(project: Project, text: str) -> None:
    file = project.plugin("deep.py", "x = 1")
    code = Code(project.prepare())
    file.write_text(text)
    assert [code.tree_of(module) for _, module in code.modules] == [None]


def test_all_checks_parse_a_file_once_and_none_that_nothing_asks_about(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def parse(source: bytes) -> ast.Module:
        parsed.append(source)
        return ast.parse(source)

    monkeypatch.setattr("opa.checks.code.ast", SimpleNamespace(parse=parse))
    project.plugin("calls.py", SENDS)
    project.plugin("plain.py", "x = 1")
    app = project.app()
    assert len(list(findings_in_application(app))) == 1
    assert parsed == [SENDS.encode()]
    parsed.clear()
    project.plugin("gates.py", UNUSED)
    app = project.app()
    assert len(list(findings_in_application(app))) == 3
    assert sorted(parsed) == sorted([SENDS.encode(), b"x = 1", UNUSED.encode()])
