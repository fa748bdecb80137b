"""The wheel: what it says of itself, what it contains, and that it works where nothing else is installed."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import opa
from tests.distribution import API, build_wheel, install
from tests.docker.engine import ROOT
from tests.local.up import HAS_MONGO, up_in
from tests.serve.process import free_port, wait_until

PACKAGE = Path(opa.__file__).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment in which the wheel was installed without extras."""
    return install(wheel, tmp_path_factory.mktemp("bare"))


def run(command: Path, *arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(command), *arguments],
        cwd=cwd,
        env=own_environment() | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def own_environment() -> dict[str, str]:
    """Without what leads to the environment of the tests, or says what runs in it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPA_", "PYTHONPATH", "VIRTUAL_ENV")) and name not in ("ENV", "MODE")
    }


def test_the_metadata_has_description_authors_and_licence(metadata: Message) -> None:
    assert metadata["Name"] == "opa-stack"
    assert metadata["Author"] == "opa-stack maintainers"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Summary"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata.get_payload() == (API / "README.md").read_text()


def test_its_version_is_that_of_the_code_and_of_the_image(metadata: Message) -> None:
    assert metadata["Version"] == opa.__version__
    assert f"ARG VERSION={opa.__version__}\n" in (API / "Dockerfile").read_text()


def test_no_page_says_another_version() -> None:
    pages = [ROOT / "README.md", API / "README.md", *(ROOT / "docs").rglob("*.md")]
    said = {
        (page.name, version)
        for page in pages
        for version in re.findall(r"opa[-_]stack(?::|==|-)(\d+\.[\w.]*\w)", page.read_text())
    }
    assert {version for _, version in said} == {opa.__version__}, said


def test_its_licence_is_that_of_the_repository() -> None:
    assert (API / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_its_readme_links_to_no_file_that_an_index_does_not_have() -> None:
    links = re.findall(r"\]\(([^)]*)\)", (API / "README.md").read_text())
    assert [link for link in links if not link.startswith("https://")] == []


def test_each_extra_is_described(metadata: Message) -> None:
    readme, page = (API / "README.md").read_text(), (ROOT / "docs" / "getting-started.md").read_text()
    extras = metadata.get_all("Provides-Extra", [])
    assert extras
    assert [extra for extra in extras if f"| `opa-stack[{extra}]` |" not in readme] == []
    assert [extra for extra in extras if f"\n| `{extra}` |" not in page] == []


def test_its_classifiers_name_the_versions_of_python_that_the_documents_do(metadata: Message) -> None:
    minor = re.findall(r":: 3\.(\d+)$", "\n".join(metadata.get_all("Classifier", [])), re.MULTILINE)
    assert metadata["Requires-Python"] == f">=3.{minor[0]}"
    assert minor == [str(number) for number in range(int(minor[0]), int(minor[-1]) + 1)]
    assert f"BASE_IMAGE=python:3.{minor[-1]}-" in (API / "Dockerfile").read_text()
    assert f"Python 3.{minor[0]} to 3.{minor[-1]}, on Linux" in (ROOT / "docs" / "index.md").read_text()


def test_all_of_the_package_is_in_it_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == {str(path.relative_to(PACKAGE.parent)) for path in sources}


def test_each_package_that_is_imported_is_required(metadata: Message) -> None:
    required = {canonicalize_name(Requirement(text).name) for text in metadata.get_all("Requires-Dist", [])}
    installed = packages_distributions()
    missing = {
        module
        for module in imported_modules()
        if not required & {canonicalize_name(name) for name in installed.get(module, ())}
    }
    assert missing == set()


def imported_modules() -> set[str]:
    """The top-level modules of others that the package imports, at the top of its modules and elsewhere."""
    demos = {path.stem for path in (PACKAGE / "demo-plugins").iterdir()}
    return {
        module
        for path in PACKAGE.rglob("*.py")
        for module in imports_of(ast.parse(path.read_bytes()))
        if module not in sys.stdlib_module_names and module not in demos | {"opa"}
    }


def imports_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_in_an_empty_environment_opa_up_serves_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    commands = install(wheel, tmp_path / "environment", "local")
    with up_in(tmp_path / "empty", str(commands / "opa")) as up:
        up.environ = own_environment() | {"OPA_LOG_FORMAT": "text"}
        up.start()
        up.wait_until_ready()
        assert up.request("/demo/hello") == {"message": "Hello, world!"}
        ready = up.request("/readyz")["components"]
        connected = {component["name"] for component in ready if component["status"] == "connected"}
        assert connected == {"walrus", "aioredis", "celery", "sql", "sql_sync"} | ({"mongodb"} if HAS_MONGO else set())
        os.kill(up.pid, signal.SIGTERM)
        assert up.end() == 0, up.output
        wait_until(up.nothing_is_left, what="everything has ended")
    assert "Traceback" not in up.output


def test_without_extras_it_tells_its_version_checks_plugins_and_runs_code(bare: Path, tmp_path: Path) -> None:
    assert run(bare / "opa-stack", "--version", cwd=tmp_path).stdout.startswith(f"opa-stack {opa.__version__}, Python ")
    checked = run(bare / "opa", "check", cwd=tmp_path)
    assert (checked.returncode, checked.stdout.splitlines()[-1][:4]) == (0, "ok: "), checked.stdout + checked.stderr
    without_components = {f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD": "no" for name in ("WALRUS", "AIOREDIS", "MONGODB")}
    code = run(bare / "opa", "shell", "-c", "print(config.PORT)", cwd=tmp_path, **without_components)
    assert (code.returncode, code.stdout) == (0, "8000\n"), code.stderr


@pytest.mark.parametrize(
    ("command", "environ", "extra"),
    [("up", {}, "local"), ("start", {"MODE": "flower", "OPA_LOG_FORMAT": "text"}, "flower")],
    ids=["opa up", "MODE=flower"],
)
def test_a_command_that_needs_an_extra_says_in_one_line_what_installs_it(
    bare: Path, tmp_path: Path, command: str, environ: dict[str, str], extra: str
) -> None:
    done = run(bare / "opa", command, cwd=tmp_path, OPA_PORT=str(free_port()), **environ)
    assert done.returncode == 1
    assert f"pip install 'opa-stack[{extra}]'" in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1
