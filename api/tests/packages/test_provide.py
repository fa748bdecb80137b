"""In development: what plugins need is installed when they need it."""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from opa.errors import SettingsError
from tests.no_answer import NO_ANSWER
from tests.packages.deps import needs
from tests.project import Project
from tests.serve.process import Opa, wait_until
from tests.wheels import OF_INDEXES, Wheels

IMPORT = """\
import {name}
from opa import get_router
router = get_router()
router.get("/{name}")(lambda: {name}.version)
"""


@pytest.fixture
def opa(tmp_path: Path, cache: Path) -> Opa:
    """A project in development whose plugins find the packages of `tmp_path/wheels` alone."""
    opa = Opa(tmp_path / "project")
    opa.environ = {name: value for name, value in opa.environ.items() if not name.startswith(OF_INDEXES)}
    opa.environ |= Wheels(tmp_path / "wheels").environ(cache) | {
        "OPA_RELOAD": "true",
        "OPA_RELOAD_POLLING": "yes",
        "OPA_DEBUGPY": "false",
        "ENV": "dev",
    }
    return opa


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write(opa: Opa, plugin: str, *requirements: str, imports: str) -> None:
    listed = ", ".join(f'"{each}"' for each in requirements)
    block = f"# /// script\n# dependencies = [{listed}]\n# ///\n"
    opa.plugin(f"{plugin}.py", block + IMPORT.format(name=imports))


def test_what_a_new_plugin_needs_is_installed_while_the_code_from_before_answers(opa: Opa, tmp_path: Path) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("ladle", "1.0")
    opa.hello("one")
    opa.start()
    wait_until(lambda: opa.answers("/hello", "one"), what=lambda: opa.log)
    # An installation that takes as long as it is wanted to: uv waits for a wheel that nobody has written yet.
    os.mkfifo(wheels.folder / "slow-1.0-py3-none-any.whl")
    write(opa, "soup", "ladle", "slow", imports="ladle")
    wait_until(lambda: "packages of plugin 'soup': installing ladle, slow" in opa.log, what=lambda: opa.log)
    assert opa.answers("/hello", "one")
    # A change ends it, and what is needed now is installed.
    write(opa, "soup", "ladle", imports="ladle")
    wait_until(lambda: opa.answers("/ladle", "1.0"), what=lambda: opa.log)
    assert re.search(r"installed ladle 1\.0 in .*packages", opa.log)
    # A misspelt name is one line, in the log and on the page, and is not tried again before something changes.
    write(opa, "soup", "ladel", imports="ladel")
    wait_until(lambda: "error: there is no package 'ladel', which plugin 'soup' needs" in opa.log, what=lambda: opa.log)
    wait_until(lambda: "there is no package" in page_of(opa), what=lambda: opa.log)
    tries = opa.log.count("installing ladel")
    wheels.add("ladel", "1.0")
    opa.hello("two")
    wait_until(lambda: opa.answers("/hello", "two"), what=lambda: opa.log)
    assert (tries, opa.log.count("installing ladel")) == (1, 2)
    assert opa.stop() == 0
    assert not [path.name for path in (opa.folder / ".opa").iterdir() if path.name.startswith(".opa-new")]


def page_of(opa: Opa) -> str:
    """What stands in the place of an api that does not start."""
    try:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{opa.port}/", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()
    except NO_ANSWER:
        return ""


def test_a_supervisor_that_ends_takes_the_installation_with_it(opa: Opa, tmp_path: Path) -> None:
    wheels = Wheels(tmp_path / "wheels")
    os.mkfifo(wheels.folder / "slow-1.0-py3-none-any.whl")
    write(opa, "soup", "slow", imports="slow")
    opa.start()
    wait_until(lambda: "installing slow" in opa.log, what=lambda: opa.log)
    assert opa.stop() == 0
    shutil.rmtree(wheels.folder)


def test_without_reload_it_is_installed_before_the_start(opa: Opa, tmp_path: Path) -> None:
    Wheels(tmp_path / "wheels").add("ladle", "1.0")
    write(opa, "soup", "ladle", imports="ladle")
    opa.start(OPA_RELOAD="false")
    wait_until(lambda: opa.answers("/ladle", "1.0"), what=lambda: opa.log)
    opa.stop()


def test_packages_are_installed_in_development_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.config().INSTALL_PACKAGES is False
    project.settings(INSTALL_PACKAGES=True)
    with pytest.raises(SettingsError, match="INSTALL_PACKAGES: is true, is for development alone, and ENV is not dev"):
        project.config()
    monkeypatch.setenv("ENV", "dev")
    assert project.config().INSTALL_PACKAGES is True
    project.settings(INSTALL_PACKAGES=False)
    assert project.config().INSTALL_PACKAGES is False


def test_the_versions_of_the_lock_are_installed_where_it_has_what_is_needed(
    needing: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opa.packages.provide import provide
    from tests.packages.deps import deps

    wheels.add("ladle", "1.0")
    needs(needing, "soup", "ladle", code=IMPORT.format(name="ladle"))
    deps()
    wheels.add("ladle", "2.0")
    wheels.add("spoon", "1.0")
    monkeypatch.setenv("ENV", "dev")
    provide(needing.config())
    with needing.client() as client:
        assert client.get("/ladle").json() == "1.0"
    lock = (needing.folder / "plugins.lock").read_text()
    needs(needing, "stew", "spoon")
    provide(needing.config())
    assert {"ladle-1.0.dist-info", "spoon-1.0.dist-info"} <= names_in(needing.folder / ".opa/packages")
    assert (needing.folder / "plugins.lock").read_text() == lock


def test_without_uv_pip_finds_the_versions(needing: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch) -> None:
    from opa.errors import PackagesError
    from opa.packages.provide import provide

    monkeypatch.setattr("opa.packages.programs.find_uv", lambda: None)
    monkeypatch.setenv("ENV", "dev")
    wheels.add("ladle", "1.0", ["spoon<3"])
    wheels.add("spoon", "2.0")
    wheels.add("spoon", "3.0")
    wheels.add("bowl", "1.0")
    needs(needing, "soup", "ladle", code=IMPORT.format(name="ladle"))
    provide(needing.config())
    assert {"ladle-1.0.dist-info", "spoon-2.0.dist-info"} <= names_in(needing.folder / ".opa/packages")
    needs(needing, "stew", "spoon>=3")
    with pytest.raises(PackagesError) as caught:
        provide(needing.config())
    assert "plugin 'soup' needs ladle (plugins/soup.py:1) and plugin 'stew' needs spoon>=3 (plugins" in str(
        caught.value
    )
    for requirement, told in (
        ("ladel", "there is no package 'ladel', which plugin 'stew' needs"),
        ("bowl>=7", "there is no version of bowl>=7, which plugin 'stew' needs; the index has bowl<=1.0"),
        ("starlette<1", "and opa-stack needs starlette"),
    ):
        needs(needing, "stew", requirement)
        with pytest.raises(PackagesError, match=told):
            provide(needing.config())
    needing.settings(PLUGIN_FAILURE="skip")
    provide(needing.config())
    with needing.client() as client:
        assert client.get("/ladle").json() == "1.0"
