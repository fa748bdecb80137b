"""Plugins without number: the same modules for the stack, and for a bare application that includes them by hand."""

from __future__ import annotations

import compileall
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import WITHOUT_SERVICES, App

ROUTER = """from fastapi import APIRouter

router = APIRouter()
"""
ROUTE = """

@router.get("/p{plugin}/r{route}/{{x}}")
async def r{route}(x: int) -> dict[str, int]:
    return {{"x": x}}
"""


@dataclass(frozen=True)
class Many:
    """Modules `p0` and so on, each with routes `GET /pN/rM/{x}`, that need nothing but FastAPI.

    Attributes:
        folder: where they are.
        plugins: how many.
        routes: of each.
    """

    folder: Path
    plugins: int
    routes: int

    @property
    def last_path(self) -> str:
        """What the last of all routes answers. The modules are taken in the order of their names: p10 is before p9."""
        return self.path(max(range(self.plugins), key=str), self.routes - 1)

    def path(self, plugin: int, route: int) -> str:
        """What a route of a plugin answers."""
        return f"/p{plugin}/r{route}/1"

    @property
    def stack(self) -> App:
        """The stack, started by its own command, with the modules as plugins."""
        environment = {"OPA_PLUGIN_PATHS": str(self.folder), **WITHOUT_SERVICES}
        return App("opa-stack", None, environment, self.last_path)

    @property
    def bare(self) -> App:
        """A FastAPI application that imports and includes the modules, one after another."""
        return App("bare FastAPI", "bench.bare_many:app", {"BENCH_MODULES": str(self.folder)}, self.last_path)


@contextmanager
def many(plugins: int, routes: int) -> Iterator[Many]:
    """Write the modules into a temporary folder, compiled as they would be after a first start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for plugin in range(plugins):
            text = ROUTER + "".join(ROUTE.format(plugin=plugin, route=route) for route in range(routes))
            (folder / f"p{plugin}.py").write_text(text)
        compileall.compile_dir(folder, quiet=2)
        yield Many(folder, plugins, routes)
