from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opa._util.reading import UnreadableError, read_text
from opa.errors import MetadataError, PluginImportError, PluginPathError
from opa.loading.candidates import Refused, problem_of_name
from opa.loading.discover import find_plugins, plugin_folders
from tests.project import Project, no_root


def told(folder: Path) -> dict[str, str]:
    """What is refused in a folder, and why; nothing of it is a plugin."""
    refused: list[Refused] = []
    assert not find_plugins([folder], refused.append)
    return {each.path.name: each.problem.what for each in refused}


BAD_NAME = "has a name with more than letters, digits, '_' and '-', under which it cannot be imported"


@pytest.mark.parametrize(
    "name",
    [
        *("report copy.py", "report - Kopie (2).py", "report.v2.py", "report (conflicted copy 2026-11-28).py"),
        *("a+b.py", "report~1.py", "shop-1.2/__init__.py", "my plugin/__init__.py"),
    ],
)
def test_a_name_that_cannot_be_imported_is_refused(project: Project, name: str) -> None:
    project.plugin(name)
    assert told(project.plugins) == {name.partition("/")[0]: BAD_NAME}


@pytest.mark.parametrize("name", ["größe", "u\u0308ber", "2fa", "a-b", "_helpers", "名前", "setup_shop", "speed_test"])
def test_letters_of_all_languages_digits_dashes_and_underscores_make_a_name(project: Project, name: str) -> None:
    project.plugin(f"{name}.py")
    assert [plugin.name for plugin in find_plugins([project.plugins])] == [name]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.symlink_to("nowhere"), "is a link that leads nowhere"),
        (lambda path: path.symlink_to(path.name), "is a link that leads in a circle"),
        (os.mkfifo, "is not a regular file"),
        (Path.mkdir, "is not a regular file"),
    ],
)
def test_a_module_that_is_no_file_is_refused(project: Project, make: Callable[[Path], None], problem: str) -> None:
    make(project.plugins / "p.py")
    assert told(project.plugins) == {"p.py": problem}


@pytest.mark.parametrize(
    ("target", "problem"),
    [("nowhere", "is a link that leads nowhere"), ("shop", "is a link that leads in a circle")],
)
def test_a_link_that_would_be_a_package_is_refused(project: Project, target: str, problem: str) -> None:
    (project.plugins / "shop").symlink_to(target)
    assert told(project.plugins) == {"shop": problem}


def test_a_package_whose_init_is_no_file_is_refused(project: Project) -> None:
    makers: dict[str, Callable[[Path], None]] = {
        "link": lambda path: path.symlink_to("nowhere"),
        "circle": lambda path: path.symlink_to("__init__.py"),
        "pipe": os.mkfifo,
    }
    for name, make in makers.items():
        (project.plugins / name).mkdir()
        make(project.plugins / name / "__init__.py")
    assert told(project.plugins) == {
        "link": "has an __init__.py that is a link that leads nowhere",
        "circle": "is a link that leads in a circle",
        "pipe": "has an __init__.py that is not a regular file",
    }


def test_an_ending_in_capitals_is_refused(project: Project) -> None:
    project.plugin("HELLO.PY")
    assert told(project.plugins) == {"HELLO.PY": "ends with '.PY', which is not a Python suffix"}


def test_what_an_editor_or_pip_leaves_in_the_place_of_a_plugin_is_refused(project: Project) -> None:
    for name in ("hello.py.txt", "acme-1.0-py3-none-any.whl"):
        project.plugin(name)
    assert told(project.plugins) == {
        "hello.py.txt": "ends with '.txt', which is not a Python suffix",
        "acme-1.0-py3-none-any.whl": "is a wheel, which is not imported from a folder",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("conftest.py", "setup.py", "test_shop.py", "__main__.py", "__main__/__init__.py", "__init__.py"),
        *(".hidden.py", ".git/__init__.py", "notes.txt", "Makefile", "data.v2.json", "shop-1.2/data.csv"),
    ],
)
def test_files_that_other_programs_use_are_passed_over(project: Project, name: str) -> None:
    project.plugin(name)
    (project.plugins / ".#shop.py").symlink_to("nowhere")  # as editors have it
    (project.plugins / "latest.csv").symlink_to("nowhere")
    assert told(project.plugins) == {}


def test_a_folder_that_may_not_be_read_is_refused_where_it_could_be_a_plugin(open_project: Project) -> None:
    for name in ("closed", "lost+found"):
        (open_project.plugins / name).mkdir(mode=0)
    with no_root():
        assert told(open_project.plugins) == {"closed": "cannot be read: Permission denied"}


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_plugin_path_that_may_not_be_read_is_one_line(open_project: Project, mode: int) -> None:
    open_project.plugins.chmod(mode)
    with no_root(), pytest.raises(PluginPathError) as caught:
        find_plugins(plugin_folders([str(open_project.plugins)]))
    open_project.plugins.chmod(0o755)
    assert str(caught.value).startswith(f"plugin path '{open_project.plugins}' cannot be read: Permission denied")
    assert "(setting PLUGIN_PATHS). This process runs as the user with the number" in str(caught.value)


def test_a_plugin_path_that_is_a_link_to_nowhere_is_one_line(project: Project) -> None:
    (project.folder / "link").symlink_to("nowhere")
    with pytest.raises(PluginPathError, match="plugin path 'link' is a link that leads nowhere"):
        plugin_folders(["link"], may_be_missing=["link"])


def test_a_module_of_a_package_that_is_a_link_to_nowhere_is_an_error(project: Project) -> None:
    project.plugin("p/__init__.py")
    (project.plugins / "p/admin.py").symlink_to("nowhere")
    with pytest.raises(
        PluginImportError, match="admin.py of plugin 'p' does not import: it is a link that leads nowhe"
    ):
        project.prepare()


def test_a_folder_of_plugins_that_is_a_link_to_nowhere_is_one_line(project: Project) -> None:
    project.settings(PLUGIN_PATHS=["/plugins"])
    project.plugins.rename(project.folder / "moved")
    project.plugins.symlink_to("nowhere")
    with pytest.raises(PluginPathError, match="plugin path 'plugins' is a link that leads nowhere"):
        project.prepare()


@pytest.mark.parametrize(("file", "meta"), [("p.py", "p-meta.json"), ("p/__init__.py", "p/meta.json")])
def test_metadata_that_is_a_link_to_nowhere_is_an_error(project: Project, file: str, meta: str) -> None:
    project.plugin(file)
    (project.plugins / meta).symlink_to("nowhere")
    with pytest.raises(MetadataError, match="cannot be read"):
        project.prepare()


@pytest.mark.parametrize(("file", "is_told"), [("models.py", True), ("sub/models.py", True), ("licence.key", False)])
def test_a_part_of_a_package_that_may_not_be_read_is_told_with_who_reads_it(
    project: Project, file: str, is_told: bool
) -> None:
    code = f"raise PermissionError(13, 'Permission denied', __file__.replace('__init__.py', '{file}'))"
    project.plugin("shop/__init__.py", code)
    with pytest.raises(PluginImportError) as caught:
        project.prepare()
    assert ("This process runs as the user with the number" in str(caught.value)) is is_told


def test_a_part_of_a_package_that_is_a_link_to_nowhere_is_an_error(project: Project) -> None:
    project.plugin("p/__init__.py")
    (project.plugins / "p/tasks.py").symlink_to("nowhere")
    with pytest.raises(PluginImportError, match=r"tasks.py of plugin 'p' does not import: it is a link"):
        project.prepare()


def test_the_running_program_is_never_forgotten(project: Project) -> None:
    import sys

    project.plugin("__main__.py", "print('RUNS')")
    main = sys.modules["__main__"]
    project.prepare()
    project.prepare()
    assert sys.modules["__main__"] is main


@pytest.mark.parametrize(
    "text",
    [
        "router = get_router(prefix='/x')",
        "router: APIRouter = opa.get_router()",
        "router = APIRouter()",
        "@task\ndef send(): ...",
        "@opa.task(retries=3)\nasync def send(): ...",
    ],
)
def test_a_plugin_with_the_name_of_a_test_is_reported(project: Project, text: str) -> None:
    for name in ("test_report", "setup"):
        project.plugin(f"{name}.py", f"import opa\n\n{text}\n")
    what = "has a router or a task, and a name that is reserved for pytest, setuptools or Python itself"
    assert told(project.plugins) == {"test_report.py": what, "setup.py": what}


def test_a_test_beside_plugins_is_not_reported(project: Project) -> None:
    project.plugin("test_report.py", "from report import router, send\n\ndef test_it():\n    @task\n    def f(): ...\n")
    (project.plugins / "test_nothing.py").symlink_to("nowhere")
    os.mkfifo(project.plugins / "test_pipe.py")
    assert told(project.plugins) == {}


def test_a_file_of_tests_by_the_other_name_for_pytest_is_no_plugin(project: Project) -> None:
    project.plugin("shop_test.py", "from shop import route\n\nasync def test_it():\n    assert route()\n")
    project.plugin("class_test.py", "class TestShop:\n    pass\n")
    project.plugin("load_test.py", "def ready():\n    pass\n")
    project.plugin("ab_test.py", "from opa import get_router\n\nrouter = get_router()\n\ndef test_me(): ...\n")
    found = {plugin.name for plugin in find_plugins([project.plugins])}
    assert found == {"ab_test", "load_test"}


def test_a_huge_file_is_refused_before_python_reads_it(project: Project) -> None:
    for name in ("a.py", "shop/__init__.py", "test_a.py"):
        os.truncate(project.plugin(name), 2**40)
    assert told(project.plugins) == {
        "a.py": "is larger than 10 MB",
        "shop": "has an __init__.py that is larger than 10 MB",
    }


def test_a_part_of_a_plugin_that_is_huge_is_refused_before_python_reads_it(project: Project) -> None:
    project.plugin("shop/__init__.py")
    os.truncate(project.plugin("shop/tasks.py"), 2**40)
    with pytest.raises(PluginImportError, match=r"tasks\.py of plugin 'shop' does not import: it is larger than 10 MB"):
        project.prepare()


@pytest.fixture
def endless(project: Project) -> Iterator[Path]:
    """What looks like a file, and lets whoever reads it wait, as /proc/kmsg does."""
    pipe = project.plugins / "test_a.py"
    os.mkfifo(pipe)
    kept_open = os.open(pipe, os.O_RDWR)
    yield pipe
    os.close(kept_open)


def test_a_pipe_or_device_in_a_plugin_folder_is_not_waited_for(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry: Any = SimpleNamespace(name=endless.name, path=str(endless), is_file=lambda: True)
    assert problem_of_name(entry) is None
    monkeypatch.setattr("opa._util.reading.stat", SimpleNamespace(S_ISREG=lambda mode: True))
    with pytest.raises(UnreadableError, match="is not a regular file"):
        read_text(endless)
