from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

from opa.errors import ProjectError
from opa.scaffold import plugin as module
from opa.scaffold import project
from opa.scaffold.plugin import add_plugin
from opa.scaffold.template import File
from tests.scaffold.conftest import names_in


@pytest.fixture
def shop(here: Path) -> Path:
    (here / "plugins").mkdir()
    return here


def test_a_plugin_has_a_route_and_tests(shop: Path) -> None:
    files = add_plugin(shop, "line_items", with_task=False)
    assert [file.path for file in files] == ["plugins/line_items.py", "tests/test_line_items.py"]
    text = (shop / "plugins" / "line_items.py").read_text()
    assert 'prefix="/line-items"' in text
    assert "@task" not in text
    assert '"""Line items: ' in text
    ast.parse((shop / "tests" / "test_line_items.py").read_text())


def test_with_a_task_it_has_one_and_tests_it(shop: Path) -> None:
    add_plugin(shop, "orders", with_task=True)
    assert "@task\n" in (shop / "plugins" / "orders.py").read_text()
    assert '"orders.work"' in (shop / "tests" / "test_orders.py").read_text()


@pytest.mark.parametrize("with_task", [False, True])
def test_with_sql_it_has_a_table_and_says_what_it_needs(shop: Path, with_task: bool) -> None:
    files = add_plugin(shop, "line_items", with_task=with_task, with_sql=True)
    assert [file.path for file in files] == ["plugins/line_items.py", "tests/test_line_items.py"]
    text = (shop / "plugins" / "line_items.py").read_text()
    assert text.startswith('# /// script\n# dependencies = ["opa-stack[sql]"]\n# ///\n"""Line items: ')
    assert '__tablename__ = "line_items"' in text
    assert ("@task\n" in text) == with_task
    assert ('"line_items.work"' in (shop / "tests" / "test_line_items.py").read_text()) == with_task


@pytest.mark.parametrize("with_task", [False, True])
def test_with_the_admin_it_has_a_table_and_a_panel_for_it(shop: Path, with_task: bool) -> None:
    add_plugin(shop, "Line__items", with_task=with_task, with_admin=True)
    text = (shop / "plugins" / "Line__items.py").read_text()
    tests = (shop / "tests" / "test_Line__items.py").read_text()
    assert text.startswith('# /// script\n# dependencies = ["opa-stack[admin,sql]"]\n# ///\n')
    assert 'name = "line-items"\n    label = "Line  items"' in text
    assert '[panel.name for panel in admin.panels()] == ["line-items"]\n' in tests
    assert ("@task\n" in text) == with_task
    for written in (text, tests):
        ast.parse(written)
        assert "{{" not in written
    add_plugin(shop, "orders", with_task=with_task, with_sql=True)
    assert "admin" not in (shop / "plugins" / "orders.py").read_text() + (shop / "tests" / "test_orders.py").read_text()


def test_outside_of_a_project_nothing_is_written(here: Path) -> None:
    with pytest.raises(ProjectError, match=r"no folder plugins/ here.*Make a project first: opa new NAME"):
        add_plugin(here, "orders", with_task=False)
    assert names_in(here) == []


def test_in_a_folder_of_the_project_it_says_where_the_project_is(shop: Path) -> None:
    with pytest.raises(ProjectError, match=f"Run it in the folder of the project: cd {shop}"):
        add_plugin(shop / "plugins", "orders", with_task=False)


@pytest.mark.parametrize(
    "path", ["plugins/orders.py", "plugins/orders/__init__.py", "plugins/orders-meta.json", "tests/test_orders.py"]
)
def test_what_is_there_is_left_alone_and_named(shop: Path, path: str) -> None:
    (shop / path).parent.mkdir(parents=True, exist_ok=True)
    (shop / path).write_text("mine")
    before = sorted(shop.rglob("*"))
    with pytest.raises(ProjectError, match=path.removesuffix("/__init__.py")):
        add_plugin(shop, "orders", with_task=True)
    assert sorted(shop.rglob("*")) == before
    assert (shop / path).read_text() == "mine"


def test_a_link_is_not_written_through(shop: Path) -> None:
    (shop / "plugins" / "orders.py").symlink_to("../elsewhere.py")
    with pytest.raises(ProjectError, match="there already"):
        add_plugin(shop, "orders", with_task=False)
    assert not (shop / "elsewhere.py").exists()


def test_twice_is_refused(shop: Path) -> None:
    add_plugin(shop, "orders", with_task=False)
    with pytest.raises(ProjectError, match=r"plugins/orders\.py and tests/test_orders\.py are there already"):
        add_plugin(shop, "orders", with_task=False)


@pytest.mark.parametrize("fails", [0, 1])
def test_a_disk_that_is_full_leaves_nothing(shop: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    write_files = project.write_files

    def until_full(folder: Path, files: list[File]) -> None:
        write_files(folder, files)
        if (files[0].path.startswith("tests")) == bool(fails):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_files", until_full)
    with pytest.raises(ProjectError, match="No space left on device"):
        add_plugin(shop, "orders", with_task=False)
    assert [str(path.relative_to(shop)) for path in shop.rglob("*")] == ["plugins"]


@pytest.mark.parametrize("fails", [0, 1])
def test_on_a_file_system_that_becomes_read_only_it_says_what_is_left(
    shop: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """Of what is not there, too, such a file system says that it cannot be removed."""
    write_files = project.write_files

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    def until_refused(folder: Path, files: list[File]) -> None:
        if (files[0].path.startswith("tests")) == bool(fails):
            refuse(folder / files[0].path)
        write_files(folder, files)

    monkeypatch.setattr(module, "write_files", until_refused)
    monkeypatch.setattr(Path, "unlink", refuse)
    left = f"Remove {shop}/plugins/orders.py" if fails else "Nothing of it is left"
    with pytest.raises(ProjectError, match=rf"Read-only file system .*{left}"):
        add_plugin(shop, "orders", with_task=False)
