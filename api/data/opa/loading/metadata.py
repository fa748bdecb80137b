"""A plugin's metadata: what stands beside its code, read without importing it."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from opa._util.nesting import TOO_DEEP, NestingError, check_nesting
from opa._util.patterns import lazy_pattern
from opa._util.reading import UnreadableError, read_text
from opa._util.words import kind_of
from opa.errors import MetadataError
from opa.loading import conventions
from opa.loading.inline_metadata import HINT, read_inline_metadata

if TYPE_CHECKING:  # imported where a plugin has versions
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

MAX_TEXT_LENGTH = 1000
"""Characters of a version or a requirement."""

COMMAND_NAMES = "a name is of lower-case letters, digits and '-'; in a group of opa-stack it is two of them"
_COMMAND = lazy_pattern(r"[a-z][a-z0-9-]{0,49}( [a-z][a-z0-9-]{0,49})?")

INLINE_KEYS = frozenset({"dependencies", "requires-python"})
"""Those of the block of PEP 723 that are read; others are for other tools."""
EXAMPLE = 'An example: {"tags": ["utils"], "version": "1.2", "requires": ["auth>=1.0"]}'


class Metadata(NamedTuple):
    """What stands in `meta.json` or, as `[tool.opa]`, in `pyproject.toml` of a package, or in `NAME-meta.json`.

    And, of the packages and the Python that it needs, in the block of inline metadata in its code.

    Attributes:
        tags: for the filters.
        name: by which other plugins require it; by default the name that it is imported by.
        version: None where it says none; then it meets no requirement that names a version.
        description: one line for `opa plugins`.
        requires: other plugins, with versions.
        opa: the versions of the plugin interface that it works with; None for all.
        packages: the Python packages that it needs.
        packages_from: where each of them stands, `file` or `file:line`.
        python: the versions of Python that it works with; None for all.
        commands: those of its commands that are called by a name of their own, each with a line about it.
    """

    tags: frozenset[str] = frozenset()
    name: str | None = None
    version: Version | None = None
    description: str = ""
    requires: tuple[Requirement, ...] = ()
    opa: SpecifierSet | None = None
    packages: tuple[Requirement, ...] = ()
    packages_from: tuple[str, ...] = ()
    python: SpecifierSet | None = None
    commands: Mapping[str, str] = {}


_EMPTY = Metadata()


def metadata_files(plugin: Path) -> tuple[Path, ...]:
    """Where the metadata of the plugin at `plugin` (a package's folder or a `.py` file) may stand; the first wins."""
    if plugin.is_dir():
        return plugin / conventions.METADATA_OF_PACKAGE.name, plugin / conventions.PYPROJECT.name
    return (plugin.with_name(metadata_name(plugin.stem)),)


def metadata_name(module: str) -> str:
    """The name of the file that has the metadata of the plugin `module`, where that is no package."""
    return conventions.METADATA_OF_MODULE.name.replace("NAME", module)


def read_metadata(plugin: Path) -> Metadata:
    """Read the metadata of the plugin at `plugin`, and its block of PEP 723; where there is none, it is empty.

    Raises:
        MetadataError: a file or the block does not parse, or a key has a value of the wrong shape.
    """
    found: dict[str, tuple[Any, Path | str]] = {}
    for file in metadata_files(plugin):
        for key, value in _parsed(file).items():
            found.setdefault(key, (value, file))
    block = read_inline_metadata(plugin / "__init__.py" if plugin.is_dir() else plugin)
    found |= {key: (block.values[key], block.where) for key in INLINE_KEYS & block.values.keys()}
    if not found:  # as of nearly all
        return _EMPTY
    packages = [
        (each, str(found[key][1])) for key in ("packages", "dependencies") for each in _requirements(key, found)
    ]
    return Metadata(
        tags=frozenset(_texts("tags", found)),
        name=_text("name", found),
        version=_version(found),
        description=_text("description", found) or "",
        requires=_requirements("requires", found),
        opa=_range("opa", found),
        packages=tuple(package for package, _ in packages),
        packages_from=tuple(where for _, where in packages),
        python=_range("requires-python", found),
        commands=_commands(found),
    )


def _parsed(file: Path) -> Mapping[str, Any]:
    if not os.path.lexists(file):  # it costs less than the error, for each plugin that has none
        return {}
    try:
        text = read_text(file)
    except UnreadableError as error:
        raise MetadataError(f"plugin metadata {error}", where=str(file), hint="Fix the file, or remove it") from None
    try:
        data = _toml(text, file) if file.suffix == ".toml" else _json(text, file)
        check_nesting(data)
    except (NestingError, RecursionError) as error:
        problem = str(error) if isinstance(error, NestingError) else TOO_DEEP
        raise MetadataError(f"plugin metadata cannot be used: {problem}", where=str(file), hint=EXAMPLE) from None
    except ValueError:  # Python's limit for the digits of a whole number
        raise MetadataError("plugin metadata has a number of too many digits", where=str(file), hint=EXAMPLE) from None
    if not isinstance(data, dict):
        raise MetadataError(f"plugin metadata is {kind_of(data)}, not an object", where=str(file), hint=EXAMPLE)
    return data


def _json(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"plugin metadata is not valid JSON: {error.msg} in column {error.colno}",
            where=f"{file}:{error.lineno}",
            hint=EXAMPLE,
        ) from None


def _toml(text: str, file: Path) -> Any:
    try:
        data: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MetadataError(
            f"plugin metadata is not valid TOML: {error}", where=str(file), hint="Fix the file"
        ) from None
    for key in ("tool", "opa"):
        if not isinstance(data, dict):
            raise MetadataError(
                f"plugin metadata has {kind_of(data)} where the table [tool.opa] should be",
                where=str(file),
                hint="Write [tool.opa], and the keys below it",
            )
        data = data.get(key, {})
    return data


Found = Mapping[str, tuple[Any, Path | str]]


def _wrong(key: str, problem: str, where: Path | str) -> MetadataError:
    hint = HINT if key in INLINE_KEYS else EXAMPLE
    return MetadataError(f"'{key}' in plugin metadata {problem}", where=str(where), hint=hint)


def _text(key: str, found: Found) -> str | None:
    value, where = found.get(key, (None, ""))
    if value is not None and not isinstance(value, str):
        raise _wrong(key, f"is {kind_of(value)}, not a string", where)
    return value


def _texts(key: str, found: Found) -> list[str]:
    value, where = found.get(key, ([], ""))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(key, "is not a list of strings", where)
    return value


def _version(found: Found) -> Version | None:
    text = _text("version", found)
    if text is None:
        return None
    from packaging.version import InvalidVersion, Version

    try:
        return Version(_bounded("version", text, found))
    except (InvalidVersion, ValueError):
        raise _wrong("version", f"is not a version: '{text}'", found["version"][1]) from None


def _range(key: str, found: Found) -> SpecifierSet | None:
    text = _text(key, found)
    if not text:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(_bounded(key, text, found))
    except (InvalidSpecifier, ValueError):
        raise _wrong(key, f"is not a range of versions such as '>=1,<2': '{text}'", found[key][1]) from None


def _requirements(key: str, found: Found) -> tuple[Requirement, ...]:
    texts = _texts(key, found)
    if not texts:
        return ()
    from packaging.requirements import InvalidRequirement, Requirement

    requirements = []
    for text in texts:
        # A line break in a condition would begin another line in the file that an installer reads.
        if not text.isprintable():
            raise _wrong(key, f"has {text!r}, which has more than printable characters", found[key][1])
        try:
            requirements.append(Requirement(_bounded(key, text, found)))
        except (InvalidRequirement, RecursionError, ValueError):
            raise _wrong(key, f"has '{text}', which is not a requirement such as 'name>=1.0'", found[key][1]) from None
    return tuple(requirements)


def _commands(found: Found) -> Mapping[str, str]:
    given, file = found.get("commands", ({}, Path()))
    if not isinstance(given, dict):
        raise _wrong("commands", f"is {kind_of(given)}, not an object of names and a line about each", file)
    for name, text in given.items():
        if not _COMMAND.fullmatch(name):
            raise _wrong("commands", f"has the name '{_bounded('commands', name, found)}': {COMMAND_NAMES}", file)
        if not isinstance(text, str) or not text.isprintable():
            raise _wrong("commands", f"says about '{name}' what is not a string of one line", file)
        _bounded("commands", text, found)
    return given


def _bounded(key: str, text: str, found: Found) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        raise _wrong(key, f"has a text of more than {MAX_TEXT_LENGTH} characters: '{text[:50]}…'", found[key][1])
    return text
