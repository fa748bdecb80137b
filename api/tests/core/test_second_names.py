from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from opa.core.errors import PluginImportError
from tests.project import Project

TICK = "from opa import task\n@task(schedule=60)\ndef tick(): ...\n"


@pytest.fixture(autouse=True)
def _nothing_imported() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in {"plugins", "linked"}]:
        del sys.modules[name]


@pytest.fixture(params=["package", "namespace", "link"])
def root(project: Project, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of the plugins is importable, by this name."""
    monkeypatch.syspath_prepend(project.folder)
    if request.param == "package":
        project.plugin("__init__.py")
    if request.param == "link":
        (project.folder / "linked").symlink_to("plugins")
    return "linked" if request.param == "link" else "plugins"


@pytest.mark.parametrize(
    "line",
    [
        "import {0}.shop",
        "from {0}.shop import tick",
        "from {0} import shop",
        "import {0}.shop as s",
        "import importlib; importlib.import_module('{0}.shop')",
    ],
)
def test_a_plugin_is_not_imported_under_a_second_name(project: Project, root: str, line: str) -> None:
    project.plugin("shop.py", TICK)
    file = project.plugin("report.py", line.format(root))
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert f"'{root}.shop' is 'shop' under a second name" in str(caught.value)
    assert f"{file}:1" in str(caught.value)
    assert f"write shop, and not {root}.shop" in str(caught.value)
    project.settings(PLUGIN_FAILURE="skip")
    assert list(project.prepare().celery.schedules) == ["shop.tick"]


def test_one_may_try_the_folder_and_then_the_own_name(project: Project, root: str) -> None:
    project.plugin("shop.py", TICK)
    project.plugin(
        "report.py", f"try:\n    from {root}.shop import tick\nexcept ImportError:\n    from shop import tick"
    )
    assert list(project.prepare().celery.schedules) == ["shop.tick"]


def test_a_program_around_the_plugins_may_import_them_by_their_folder(project: Project, root: str) -> None:
    project.plugin("shop.py", "price = 3")
    project.prepare()
    assert importlib.import_module(f"{root}.shop").price == 3


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("from extras.shop.models import Color  # a comment", "from shop.models import Color"),
        ("import extras.shop", "import shop"),
        ("from extras import shop", "import shop"),
    ],
)
def test_where_the_folder_is_no_package_the_own_name_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, line: str, own: str
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", str(project.folder)}])
    project.plugin("shop.py", folder="extras")
    project.plugin("report.py", line, folder="extras")
    project.settings(PLUGIN_PATHS=[str(project.folder / "extras")])
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert str(caught.value).endswith(f"Plugins import from one another by their own name: write '{own}'")
