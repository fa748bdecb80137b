from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opa.checks.copies import copied_schedules
from opa.checks.second_names import imports_by_second_names, modules_that_are_there_twice
from opa.errors import PluginImportError
from opa.tasks.application import application_of
from tests.project import Project

TICK = "from opa import task\n@task(schedule=60)\ndef tick(): ...\n"


@pytest.fixture(autouse=True)
def _nothing_imported() -> Iterator[None]:
    yield
    for name in [
        name for name in sys.modules if name.partition(".")[0] in {"plugins", "linked", "helper", "elsewhere"}
    ]:
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
    assert list(application_of(project.prepare()).schedules) == ["shop.tick"]


def test_one_may_try_the_folder_and_then_the_own_name(project: Project, root: str) -> None:
    project.plugin("shop.py", TICK)
    project.plugin(
        "report.py", f"try:\n    from {root}.shop import tick\nexcept ImportError:\n    from shop import tick"
    )
    assert list(application_of(project.prepare()).schedules) == ["shop.tick"]


def test_a_program_around_the_plugins_gets_the_module_that_is_loaded(project: Project, root: str) -> None:
    project.plugin("shop.py", "price = 3")
    project.prepare()
    shop = importlib.import_module(f"{root}.shop")
    assert shop is sys.modules["shop"]
    assert shop.__spec__ is not None
    assert (shop.__name__, shop.__spec__.name) == ("shop", "shop")
    project.prepare()
    assert importlib.import_module(f"{root}.shop") is sys.modules["shop"]
    assert importlib.import_module(root).shop is sys.modules["shop"]


IN_A_PACKAGE = "from opa import task\nrows = []\n@task(schedule=60)\ndef tick(): ...\n"


@pytest.mark.parametrize(
    "line",
    [
        "from {0}.shop.tasks import tick, rows",
        "import {0}.shop.tasks as t; rows = t.rows",
        "from {0}.shop import tasks; rows = tasks.rows",
        "from {0} import shop; rows = shop.rows",
    ],
)
def test_a_helper_that_imports_a_plugin_by_its_folder_gets_the_plugin_itself(
    project: Project, root: str, line: str
) -> None:
    helper = project.plugin("helper.py", line.format(root), folder=".")
    project.plugin("shop/__init__.py", "from .tasks import rows")
    project.plugin("shop/tasks.py", IN_A_PACKAGE)
    project.plugin("a_report.py", "import helper")
    project.plugin("report.py", "import helper, shop.tasks\nhelper.rows.append(1)\nassert shop.tasks.rows == [1]")
    manager = project.prepare()
    assert list(application_of(manager).schedules) == ["shop.tasks.tick"]
    assert not list(copied_schedules(manager))
    told = str(next(imports_by_second_names(manager)))
    assert f"'{root}.shop' is imported, which is 'shop' of plugin 'shop' under a second name ({helper}:1)" in told


def test_a_plugin_may_be_imported_by_a_helper_that_it_imports_itself(project: Project, root: str) -> None:
    project.plugin("helper.py", f"import {root}.shop\ndef get(): return {root}.shop.value", folder=".")
    project.plugin("shop.py", "import sys, helper\nvalue = 1\nassert helper.get() == 1\n")
    project.prepare()


def test_a_helper_that_imports_a_broken_plugin_leaves_nothing_behind(project: Project, root: str) -> None:
    project.plugin("helper.py", f"import {root}.shop", folder=".")
    shop = project.plugin("shop.py", "import helper\nraise ValueError('no')")
    project.settings(PLUGIN_FAILURE="skip")
    assert "shop" in project.prepare().roster.skipped
    shop.write_text("price = 3")
    project.prepare()
    assert importlib.import_module(f"{root}.shop").price == 3


def test_a_folder_of_a_plugin_on_the_path_makes_no_second_modules_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("shop/__init__.py", "import sys, os\nsys.path.insert(0, os.path.dirname(__file__))\nimport tasks")
    project.plugin("shop/tasks.py", IN_A_PACKAGE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert list(application_of(project.prepare()).schedules) == ["shop.tasks.tick"]


def test_a_plugin_that_is_a_link_is_one_also_where_it_lies(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project.folder)
    project.plugin("shop/__init__.py", "from . import tasks", folder="elsewhere")
    project.plugin("shop/tasks.py", IN_A_PACKAGE, folder="elsewhere")
    project.plugin("single.py", "rows = []", folder="elsewhere")
    (project.plugins / "shop").symlink_to("../elsewhere/shop")
    (project.plugins / "one.py").symlink_to("../elsewhere/single.py")
    project.plugin("helper.py", "import elsewhere.shop.tasks\nfrom elsewhere.single import rows", folder=".")
    project.plugin("report.py", "import helper, one\nassert helper.rows is one.rows")
    assert list(application_of(project.prepare()).schedules) == ["shop.tasks.tick"]


def test_a_link_to_another_plugin_is_no_plugin_of_its_own_and_imports_that(project: Project) -> None:
    project.plugin("shop/__init__.py", "from . import tasks")
    project.plugin("shop/tasks.py", IN_A_PACKAGE)
    project.plugin("single.py", "rows = []")
    (project.plugins / "a_link").symlink_to("shop")
    (project.plugins / "one.py").symlink_to("single.py")
    (project.plugins / "zwei.py").symlink_to("one.py")
    project.plugin("report.py", "import a_link.tasks, one, shop, single\nassert one is single\nassert a_link is shop")
    manager = project.prepare()
    assert list(application_of(manager).schedules) == ["shop.tasks.tick"]
    assert {each.name: each.problem.what for each in manager.refused} == {
        "a_link": "is a link to plugin 'shop'",
        "one": "is a link to plugin 'single'",
        "zwei": "is a link to plugin 'single'",
    }


def test_a_link_to_a_plugin_that_a_filter_skips_is_a_plugin(project: Project) -> None:
    project.plugin("shop_v1/__init__.py", "from . import tasks")
    project.plugin("shop_v1/tasks.py", IN_A_PACKAGE)
    (project.plugins / "shop").symlink_to("shop_v1")
    project.settings(PLUGIN_BLACKLIST_RE=".*_v[0-9]+")
    manager = project.prepare()
    assert list(application_of(manager).schedules) == ["shop.tasks.tick"]
    assert not manager.refused


def test_a_module_beside_the_plugins_keeps_its_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project.folder)
    project.plugin("lib/tools.py", "x = 1")
    project.plugin("helper.py", "from plugins.lib import tools", folder=".")
    project.plugin("report.py", "import helper\nassert helper.tools.__name__ == 'plugins.lib.tools'")
    project.prepare()


def test_a_plugin_that_is_loaded_by_its_file_is_reported(project: Project) -> None:
    file = project.plugin("shop.py", TICK)
    manager = project.prepare()
    assert not list(modules_that_are_there_twice(manager))
    load_by_file("helper", file)
    told = [str(mistake) for mistake in modules_that_are_there_twice(manager)]
    assert len(told) == 1
    assert "'shop' of plugin 'shop' is there twice, also as module 'helper'" in told[0]


def test_a_schedule_of_a_file_with_two_names_is_no_copy(project: Project) -> None:
    project.plugin("shop.py", TICK)
    project.plugin(
        "report.py",
        """
        import importlib.util, pathlib
        spec = importlib.util.spec_from_file_location("helper", pathlib.Path(__file__).with_name("shop.py"))
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        """,
    )
    (told,) = map(str, copied_schedules(project.prepare()))
    assert "The file is loaded under two names" in told
    assert "of plugin 'None'" not in told


def load_by_file(name: str, file: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("from extras.shop.models import Color  # a comment", "from shop.models import Color"),
        ("import extras.shop", "import shop"),
        ("from extras import shop", "import shop"),
        (
            "import importlib; importlib.import_module('extras.shop')",
            "import importlib; importlib.import_module('shop')",
        ),
    ],
)
def test_an_import_by_a_folder_that_is_no_package_is_told_the_name_of_the_plugin(
    project: Project, monkeypatch: pytest.MonkeyPatch, line: str, own: str
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", str(project.folder)}])
    project.plugin("shop.py", folder="extras")
    project.plugin("report.py", line, folder="extras")
    project.settings(PLUGIN_PATHS=[str(project.folder / "extras")])
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert str(caught.value).endswith(f"Plugins import from one another by their own name: write '{own}'")


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("from . import shop", "import shop"),
        ("from .shop import Color  # a comment", "from shop import Color"),
        ("from .shop.models import Color", "from shop.models import Color"),
        ("from ..plugins.shop import Color", "from shop import Color"),
    ],
)
def test_a_relative_import_of_another_plugin_is_told_with_the_own_name(project: Project, line: str, own: str) -> None:
    project.plugin("shop.py")
    project.plugin("report.py", line)
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert str(caught.value).endswith(f"Plugins import from one another by their own name: write '{own}'")
