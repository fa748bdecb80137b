"""The page about the rooms of the package, and what import-linter holds, name the rooms that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import opa
from tests.import_graph import circle_in, imports_of

ROOT = Path(__file__).parents[2]
PACKAGE = Path(opa.__file__).parent
ROOMS = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" or path.joinpath("__init__.py").is_file()) and not path.name.startswith("__")
}


def test_each_room_is_described() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert [room for room in sorted(ROOMS) if not re.search(rf"\b{room}(/|\.py)", page)] == []


def test_each_room_stands_in_the_order_in_which_rooms_may_import() -> None:
    contracts = tomllib.loads((ROOT / "api" / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    ordered = {room.strip().removeprefix("opa.") for layer in layers for room in layer.split("|")}
    alone = {"healthcheck", "plugins", "utils"}  # what imports nothing, or what is public alone
    assert ordered == ROOMS - alone


def test_each_module_that_is_named_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page)
    assert named
    assert [name for name in named if not PACKAGE.joinpath(name.removeprefix("opa/")).is_file()] == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    """The table of public names in `opa/__init__.py` is one of strings: nothing is imported before it is asked for."""
    graph = imports_of(PACKAGE)
    assert len(graph) > 200
    assert circle_in(graph) == []


@pytest.mark.parametrize(
    "back",
    [
        "from shop import till",
        "import shop.till",
        "from . import till",
        "from .till import pay",
        "def late():\n    from shop.till import pay",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.till import pay",
    ],
)
def test_a_circle_is_found_wherever_its_imports_stand(tmp_path: Path, back: str) -> None:
    files = {"__init__": "", "till": "from shop import stock", "stock": back, "door": "import shop.till"}
    (tmp_path / "shop").mkdir()
    for name, text in files.items():
        (tmp_path / "shop" / f"{name}.py").write_text(text)
    assert sorted(set(circle_in(imports_of(tmp_path / "shop")))) == ["shop.stock", "shop.till"]


def test_a_package_is_in_a_circle_with_the_modules_that_import_it(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("from shop import till")
    (tmp_path / "shop" / "till.py").write_text("from shop import name")
    assert sorted(set(circle_in(imports_of(tmp_path / "shop")))) == ["shop", "shop.till"]
