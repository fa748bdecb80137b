"""The project whose plugins are tested: where it is, its settings, and its plugins."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from opa._util.suggestions import nearest
from opa.errors import OpaError
from opa.loading.discover import PluginFile
from opa.loading.find import find
from opa.loading.order import by_name, required_plugin
from opa.loading.plugin_paths import LOCAL_PLUGIN_PATH, plugin_paths
from opa.settings.load import Config, load_settings
from opa.settings.sources import PREFIX, settings_folder

__tracebackhide__ = True  # for pytest, which shows the line of the test

Stamp = tuple[tuple[str, int, int], ...]

_settings_cache: dict[tuple[Any, ...], Config] = {}
_text_cache: dict[Path, tuple[int, int, str]] = {}

SOURCE = "the fixture opa_app"
OF_TESTS: Mapping[str, Any] = {
    "COMPONENT_CONNECT_TIMEOUT": 5,
    "LOG_FORMAT": "text",
    "PLUGIN_FAILURE": "fail",
    "NOTIFY": {},
    "RUNS": False,
    "WEBHOOKS_OUT": {},
}
"""What a test has otherwise than a process that serves, unless its mark says otherwise."""


def settings_of(wished: Mapping[str, Any]) -> Config:
    """The settings of the project in the current folder, with those that a test wishes.

    Raises:
        SettingsError: they have mistakes.
    """
    # What a test has otherwise is no addition to what is in the settings: those name the receivers of production.
    last = {**OF_TESTS, **{name: value if name in OF_TESTS else _merging(value) for name, value in wished.items()}}
    variables = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    if any(name.endswith("__FILE") for name in variables):  # what is in the files is masked from now on
        return _loaded(last)
    key = (os.getcwd(), repr(sorted(variables.items())), repr(last), _stamp(settings_folder()))  # noqa: PTH109
    if key not in _settings_cache:
        _settings_cache[key] = _loaded(last)
    return _settings_cache[key].replaced({}, SOURCE)


def _loaded(last: Mapping[str, Any]) -> Config:
    return load_settings(last=last, last_name="the mark opa of the test")


def _merging(value: Any) -> Any:
    """A dict as a settings file has one that is to be merged with what is there."""
    if not isinstance(value, Mapping) or not value:
        return value
    return {**{name: _merging(item) for name, item in value.items()}, "dynaconf_merge": True}


def _stamp(folder: Path) -> Stamp:
    """By which one sees that a file has changed."""
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    return tuple((str(file), found.st_mtime_ns, found.st_size) for file in files if (found := file.stat()))


def chosen_plugins(config: Config, names: Iterable[str] | None) -> tuple[PluginFile, ...]:
    """The plugins that a test loads, without those that come with opa-stack.

    Args:
        config: the settings.
        names: of those that are wished; what they require comes with them. None for all.

    Raises:
        OpaError: there is no such plugin, or there are none at all.
    """
    decisions = [each for each in find(config).decisions if not each.plugin.is_built_in]
    found = {each.plugin.name: each.plugin for each in decisions}
    if names is None:
        if not found and not any(Path(path).is_dir() for path in plugin_paths(config)):
            raise OpaError(
                f"there are no plugins: {Path(LOCAL_PLUGIN_PATH).absolute()} is not there",
                hint="Run pytest in the folder of the project, or say where it is in the configuration of pytest:"
                ' opa_project = "backend"',
            )
        return tuple(each.plugin for each in decisions if each.load)
    chosen: dict[str, PluginFile] = {}
    todo = list(names)
    required = by_name(found.values())
    while todo:
        name = todo.pop()
        if name not in found:
            raise _unknown(name, found)
        if name not in chosen:
            chosen[name] = found[name]
            others = (required_plugin(each, required) for each in found[name].metadata.requires)
            todo += [other.name for other in others if other is not None]
    return tuple(chosen.values())


def _unknown(name: str, found: Collection[str]) -> OpaError:
    near = nearest(name, found)
    known = f"Plugins: {', '.join(sorted(found)) or 'none'}"
    hint = f"Did you mean '{near}'? {known}" if near else known
    return OpaError(f"there is no plugin '{name}', which the mark 'opa' names", hint=hint)


def text_of(plugins: Iterable[PluginFile]) -> str:
    """The source of plugins, in lower case."""
    files: list[Path] = []
    for plugin in plugins:
        files += sorted(plugin.file.parent.rglob("*.py")) if plugin.is_package else [plugin.file]
    return "\n".join(map(_text, files))


def _text(file: Path) -> str:
    try:
        found = file.stat()
        mark = found.st_mtime_ns, found.st_size
        known = _text_cache.get(file)
        if known is None or known[:2] != mark:
            known = _text_cache[file] = (*mark, file.read_text(errors="replace").lower())
    except OSError:  # the import says it better
        return ""
    return known[2]


def has_tasks(text: str) -> bool:
    """Whether source, in lower case, may have tasks."""
    return re.search(r"\b(?:task|shared_task|celery|emit|emit_sync)\b|@on\(", text) is not None


def has_limited_tasks(text: str) -> bool:
    """Whether source, in lower case, may have tasks whose limits are kept in redis."""
    return has_tasks(text) and re.search(r"\b(?:unique|concurrency|rate)\s*=", text) is not None
