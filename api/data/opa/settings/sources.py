"""Where settings come from, as layers in the order in which they are applied: the later one wins."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from opa._util.reading import read_text
from opa._util.suggestions import LOOSE_SIMILARITY, nearest
from opa.errors import SettingsError
from opa.settings import defaults
from opa.settings.ambiguous import in_yaml, is_own
from opa.settings.envs import DEFAULT_SECTION, ENV_VARIABLE, GLOBAL_SECTION, current_envs
from opa.settings.files import forget_python_files, read_sections, settings_files
from opa.settings.foreign_files import foreign_file
from opa.settings.inherited import HANDED_VARIABLE, PROCESS_VARIABLE, STATE_VARIABLE, handed_settings
from opa.settings.names import KNOWN
from opa.settings.service_links import service_links

DEFAULTS_FILE = defaults.FILE
IMAGE_FOLDER = Path("/data/settings")
LOCAL_FOLDER = Path("settings")

FOLDER_VARIABLE = "OPA_SETTINGS_DIR"
PREFIX = "OPA_"

CUSTOMARY_ENVS = frozenset({"prod", "production", "staging", "stage", "test", "testing", "local", "ci", "qa", "live"})
"""Names of envs that people mean as they write them, also where no file has such a section."""
DEV_ENVS = dict.fromkeys(("development", "develop", "debug"), "dev")
"""Names of envs that people write for the one that switches development on."""
SAME_ENVS = (frozenset({"prod", "production"}), frozenset({"stage", "staging"}), frozenset({"test", "testing"}))
"""Names that people write for one and the same: a section of one is not read where ENV is the other."""
_NEAR_DEFAULT = 0.8
"""From when on the name of a section looks like a slip of `default`, and not like one of an env."""
MERGE_MARKS = ("dynaconf_merge", "dynaconf_merge_unique")


class Layer(NamedTuple):
    """Settings from one place.

    Attributes:
        source: the place, for people.
        values: as written there; names in any case, nested ones also as `A__B` or `A.B`.
        merge: whether all its dicts and lists are merged with what is there; None where it does not say.
        is_literal: whether its values stand for themselves, whatever marks are in them.
    """

    source: str
    values: Mapping[str, Any]
    merge: bool | None = None
    is_literal: bool = False


class Sources:
    """What was found: the layers, and what is wrong or doubtful about the places themselves.

    `sections` are the names of those that any of the files has.
    """

    def __init__(self, folder: Path, envs: tuple[str, ...]) -> None:
        self.folder = folder
        self.envs = envs
        self.sections = {DEFAULT_SECTION, GLOBAL_SECTION}
        self.layers: list[Layer] = []
        self.mistakes: list[str] = []
        self.warnings: list[str] = []


def find_sources(base: Mapping[str, Any] | None, base_name: str) -> Sources:
    """Collect the layers: default-settings.yaml, what was handed down, `base`, and the files of the settings folder.

    Environment variables are not among them, since reading those depends on what the settings are.

    Raises:
        SettingsError: OPA_SETTINGS_DIR names no folder, or the folder cannot be read; or root would take the settings
            of another user for its own, because of where it is.
    """
    sources = Sources(settings_folder(), current_envs())
    sources.layers += _layers(DEFAULTS_FILE, DEFAULTS_FILE.name, sources)
    try:
        sources.layers.append(Layer(*handed_settings()))
    except ValueError as error:
        sources.mistakes.append(f"{error} (environment variable)")
    if base:
        sources.layers.append(Layer(base_name, base))
    if sources.folder.is_dir():
        _refuse_foreign(sources.folder)
        forget_python_files()
        for path in settings_files(sources.folder):
            sources.layers += _layers(path, str(path), sources)
    for env in sources.envs:
        if meant := _meant_env(env, sources.sections):
            sources.warnings.append(
                f'{ENV_VARIABLE} is "{env}", and no file has such a section; did you mean "{meant}"?'
            )
    return sources


def _meant_env(env: str, sections: set[str]) -> str | None:
    """What the name of an env that has no section was to be; None where it may be meant as it is written."""
    if env in sections:
        return None
    if same := [name for names in SAME_ENVS if env in names for name in sorted(names & sections)]:
        return same[0]
    known = sorted(sections | CUSTOMARY_ENVS)
    close = None if env in known else nearest(env, known, LOOSE_SIMILARITY)
    return DEV_ENVS.get(env) or close


def default_layers() -> list[Layer]:
    """What default-settings.yaml says in this env."""
    return list(_layers(DEFAULTS_FILE, DEFAULTS_FILE.name, Sources(Path(), current_envs())))


def settings_folder() -> Path:
    """The folder that OPA_SETTINGS_DIR names; else /data/settings, and where that is not there ./settings.

    Raises:
        SettingsError: OPA_SETTINGS_DIR names no folder.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        folder = Path(named)
        if not folder.is_dir():
            problem = f'the settings folder "{named}" {"is not a folder" if folder.exists() else "is not there"}'
            where = f"environment variable {FOLDER_VARIABLE}"
            raise SettingsError(problem, where=where, mistakes=(f"{problem} ({where})",))
        return folder
    return IMAGE_FOLDER if IMAGE_FOLDER.is_dir() else LOCAL_FOLDER


def _refuse_foreign(folder: Path) -> None:
    if folder != LOCAL_FOLDER or os.environ.get(FOLDER_VARIABLE):
        return
    foreign = foreign_file(folder)
    if foreign is not None:
        problem = f"root does not take settings {foreign.why} only because they are in the current folder"
        where = str(foreign.path)
        hint = f"Name the folder to use it, {FOLDER_VARIABLE}={folder.absolute()}, or {foreign.remedy}"
        raise SettingsError(problem, where=where, hint=hint, mistakes=(f"{problem} ({where}). {hint}",))


def folder_source() -> str:
    """Where the choice of the settings folder comes from."""
    return f"environment variable {FOLDER_VARIABLE}" if os.environ.get(FOLDER_VARIABLE) else "default"


def setting_variables() -> list[tuple[str, str]]:
    """The environment variables that are settings, without their prefix; `A__B` comes after `A`."""
    others = {PREFIX, FOLDER_VARIABLE, HANDED_VARIABLE, PROCESS_VARIABLE, STATE_VARIABLE, *variables_of_services()}
    return sorted(
        (name.removeprefix(PREFIX), value)
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and name not in others
    )


def variables_of_services() -> list[str]:
    """The environment variables that look like settings, and were made out of the name of a service."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return sorted(service_links(variables, [f"{PREFIX}{name}" for name in KNOWN]))


def _layers(path: Path, label: str, sources: Sources) -> Iterator[Layer]:
    """The layers of one file, for the sections that apply."""
    try:
        sections = defaults.read_defaults() if path == DEFAULTS_FILE else read_sections(path)
    except SettingsError as error:
        sources.mistakes += error.mistakes
        return
    file_merge = _pop_mark(sections)
    by_name = _checked_sections(sections, label, sources)
    sources.sections.update(by_name)
    applied = (DEFAULT_SECTION, *sources.envs, GLOBAL_SECTION)
    if path != DEFAULTS_FILE and path.suffix.lower() in (".yaml", ".yml"):
        sources.warnings += dict.fromkeys(
            warning
            for (section, *place), warning in in_yaml(read_text(path), path)
            if section.lower() in applied and place and is_own(tuple(place))
        )
    for name in applied:
        if name in by_name:
            values = dict(by_name[name])
            own = _pop_mark(values)
            source = label if path.suffix.lower() == ".py" else f"{label} [{name}]"
            yield Layer(source, values, file_merge if own is None else own)


def _checked_sections(sections: Mapping[str, Any], label: str, sources: Sources) -> dict[str, Mapping[str, Any]]:
    """The sections by lower-case name. A setting outside of any section is a mistake: it would be lost."""
    checked: dict[str, Mapping[str, Any]] = {}
    for name, values in sections.items():
        if name.lower() in checked:
            sources.mistakes.append(f"{name}: the section is there twice, upper and lower case are the same ({label})")
        elif name.upper() in KNOWN or not isinstance(values, Mapping | None):
            sources.mistakes.append(
                f"{name}: is outside of any section, put it under `{DEFAULT_SECTION}` or an env ({label})"
            )
        else:
            checked[name.lower()] = values or {}
    for name in checked.keys() - {DEFAULT_SECTION}:
        if nearest(name, [DEFAULT_SECTION], _NEAR_DEFAULT):
            sources.warnings.append(
                f'section "{name}" is not "{DEFAULT_SECTION}", it is read in an env of that name ({label})'
            )
    return checked


def _pop_mark(values: dict[str, Any]) -> bool | None:
    for key in [key for key in values if str(key).lower() == MERGE_MARKS[0]]:
        return bool(as_switch(values.pop(key)))
    return None


def as_switch(value: Any) -> Any:
    """A merge mark as dynaconf wants it: INI files can say true and false as text only."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    return value
