"""No private name of another package stands outside `opa/_compat/`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.private_names import in_text


def test_package_has_private_names_of_others_in_the_seam_alone() -> None:
    run = [sys.executable, "-m", "tests.private_names"]
    found = subprocess.run(run, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 0), found.stderr


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from starlette._utils import get_route_path", "module starlette._utils"),
        ("from fastapi.routing import _IncludedRouter", "fastapi.routing._IncludedRouter"),
        ("import anyio._backends", "module anyio._backends"),
        ("def f(app):\n    return app._tasks", "app._tasks"),
        ("class A(Base):\n    def f(self):\n        return self._tasks", "self._tasks"),
        ("class A(Base):\n    def _f(self):\n        return super()._f()", "super()._f"),
        ("getattr(pool, '_pool', None)", "_pool"),
        ("getattr(schedule, f'_orig_{1}')", "_orig_"),
    ],
)
def test_private_name_of_another_package_is_found(code: str, found: str, tmp_path: Path) -> None:
    module = tmp_path / "package" / "module.py"
    module.parent.mkdir()
    module.write_text(code)
    line = code.count("\n") + 1
    assert in_text(module.parent) == [f"{module}:{line}: {found}"]


@pytest.mark.parametrize(
    "code",
    [
        "from package._util import name",
        "import os\nos._exit(1)",
        "class A:\n    def __init__(self):\n        self._own = 1\n    def f(self, other):\n        return other._own",
        "class A:\n    def _f(self): ...\nclass B(A):\n    def _f(self):\n        super()._f()",
        "class A:\n    __slots__ = ('_own',)\n    def f(self):\n        return self._own",
        "isinstance(value, tuple) and hasattr(value, '_fields')",
        "def __f__(self):\n    return self.__dict__",
    ],
)
def test_own_and_public_names_are_not_found(code: str, tmp_path: Path) -> None:
    module = tmp_path / "package" / "module.py"
    module.parent.mkdir()
    module.write_text(code)
    assert in_text(module.parent) == []


def test_seam_itself_may_have_them(tmp_path: Path) -> None:
    module = tmp_path / "package" / "_compat" / "celery.py"
    module.parent.mkdir(parents=True)
    module.write_text("from celery import _state\nfrom celery._state import get_current_task")
    assert in_text(tmp_path / "package") == []
