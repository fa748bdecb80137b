"""The page about the rooms of the package, and what import-linter holds, name the rooms that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import opa
from tests.import_graph import circle_in, imports_of
from tests.module_state import changed_state

ROOT = Path(__file__).parents[2]
PACKAGE = Path(opa.__file__).parent
ROOMS = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" or path.joinpath("__init__.py").is_file()) and not path.name.startswith("__")
}


def test_each_room_is_described() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    missing = [room for room in sorted(ROOMS) if not re.search(rf"\b{room}(/|\.py)", page)]
    assert missing == [], "docs/architecture.md has no line for these, under The rooms"


def test_each_room_stands_in_the_order_in_which_rooms_may_import() -> None:
    contracts = tomllib.loads((ROOT / "api" / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    ordered = {room.strip().removeprefix("opa.") for layer in layers for room in layer.split("|")}
    alone = {"healthcheck", "plugins", "utils"}  # what imports nothing, or what is public alone
    assert ordered == ROOMS - alone, "the layers of [tool.importlinter] in api/pyproject.toml are not the rooms"


def test_built_in_plugins_may_import_the_public_rooms_alone() -> None:
    contracts = tomllib.loads((ROOT / "api" / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [contract] = [each for each in contracts if each.get("source_modules") == ["opa.plugins"]]
    forbidden = {room.removeprefix("opa.") for room in contract["forbidden_modules"]}
    public = {"admin", "commands", "events", "introspection", "jwt", "mongodb_clients", "redis_clients"}
    others = {"healthcheck", "plugins", "utils"}
    assert forbidden == ROOMS - public - others, "what plugins/ may not import, in api/pyproject.toml, is all the rest"


def test_each_module_that_is_named_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page)
    assert named
    places = {name: (PACKAGE / name.removeprefix("opa/"), ROOT / name) for name in named}
    gone = [name for name, paths in places.items() if not any(path.is_file() for path in paths)]
    assert gone == [], "docs/architecture.md names modules that do not exist"
    beside_a_folder = set(re.findall(r"`([a-z_]+\.py)`", page))
    assert beside_a_folder <= {file.name for file in PACKAGE.rglob("*.py")}


def test_no_modules_import_one_another_in_a_circle() -> None:
    """The table of public names in `opa/__init__.py` is one of strings: nothing is imported before it is asked for."""
    graph = imports_of(PACKAGE)
    assert len(graph) > 200
    assert circle_in(graph) == [], "move what both need into a module below them: docs/architecture.md, The rooms"


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


HOME = "opa.current"
"""The one module that has state."""


def test_no_module_but_one_has_state_of_its_own() -> None:
    home = PACKAGE / "current.py"
    found = {
        str(file.relative_to(PACKAGE)): places
        for file in PACKAGE.rglob("*.py")
        if file != home and (places := list(changed_state(file.read_text(), package="opa", home=HOME)))
    }
    assert found == {}, "state of the process belongs in current.py: docs/architecture.md, The rooms"


@pytest.mark.parametrize(
    "text",
    [
        "_sink = 0\ndef write():\n    global _sink\n    _sink = 1",
        "_done = set()\ndef note(what):\n    _done.add(what)",
        "_pools = {}\nasync def pool(name):\n    _pools[name] = 1",
        "_pools: dict = {}\nclass Pools:\n    def close(self):\n        del _pools[self]",
        "_state = State()\ndef spare(task):\n    before, _state.task = _state.task, task",
        "class Counter:\n    count = 0\n    def add(self):\n        Counter.count += 1",
        "if True:\n    _reader = []\nread_by = lambda read: _reader.append(read)",
        "def load():\n    from opa import main\n    main.app = 1",
        "from opa.loading.order import NAMES\ndef add(name):\n    NAMES.known[name].extend([name])",
        "from . import main\ndef load():\n    setattr(main, 'app', 1)",
        "import opa.main\ndef load():\n    opa.main.app = 1",
    ],
)
def test_state_of_a_module_is_found_however_it_is_changed(text: str) -> None:
    assert list(changed_state(text, package="opa", home=HOME)) != []


@pytest.mark.parametrize(
    "text",
    [
        "from opa.current import current\ndef run(manager):\n    current.manager = manager",
        "_ids_cache = []\ndef new():\n    return _ids_cache.pop()",
        "_text_cache = ''\ndef keep(text):\n    global _text_cache\n    _text_cache = text",
        "_asking = ContextVar('asking')\ndef ask(one):\n    _asking.set(one)",
        "import sys\ndef forget(name):\n    sys.modules.pop(name)",
        "names = {}\nnames['a'] = 1\ndef other():\n    names = []\n    names.append(1)",
        "class Pools:\n    def close(self):\n        self.pools.clear()",
    ],
)
def test_caches_contexts_and_what_is_of_others_are_none(text: str) -> None:
    assert list(changed_state(text, package="opa", home=HOME)) == []
