"""The page about the rooms of the package, and what import-linter holds, name the rooms that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import opa

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
