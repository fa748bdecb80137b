"""The example in the shape of OpenViper's is its code, changed in its imports alone."""

from __future__ import annotations

import ast

import pytest

from tests.examples.examples import ROOT

PACKAGE = ROOT / "examples" / "openviper" / "plugins" / "myplugin"

# What the page has, without its words.
THERE = {
    "__init__.py": """
from __future__ import annotations
from myplugin.client import ServiceClient
_client: ServiceClient | None = None
async def ready() -> None:
    global _client
    _client = await ServiceClient.connect(
        url="https://service.example.com",
    )
""",
    "middleware.py": """
from __future__ import annotations
from openviper.middleware.base import BaseMiddleware
from myplugin import _client
class MyPluginMiddleware(BaseMiddleware):
    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["my_plugin"] = _client
        await self.app(scope, receive, send)
""",
}


class WithoutImports(ast.NodeTransformer):
    """Takes out imports and the strings that document."""

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def code(text: str) -> str:
    return ast.dump(WithoutImports().visit(ast.parse(text)))


@pytest.mark.parametrize("file", THERE)
def test_a_file_of_the_package_is_as_there_but_for_its_imports(file: str) -> None:
    assert code((PACKAGE / file).read_text()) == code(THERE[file])


def test_nothing_of_it_imports_openviper() -> None:
    nodes = (node for file in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text())))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "opa" in modules
    assert not any((module or "").startswith("openviper") for module in modules)
