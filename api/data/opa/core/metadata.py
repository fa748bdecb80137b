"""A plugin's metadata: what stands beside its code, read without importing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opa.core.errors import MetadataError


@dataclass(frozen=True)
class Metadata:
    """What `meta.json` of a package, or `NAME-meta.json` of a module, says."""

    tags: frozenset[str] = frozenset()


def metadata_file(plugin: Path) -> Path:
    """Where the metadata of the plugin at `plugin` (a package's folder or a `.py` file) would stand."""
    if plugin.is_dir():
        return plugin / "meta.json"
    return plugin.with_name(f"{plugin.stem}-meta.json")


def read_metadata(file: Path) -> Metadata:
    """Read a metadata file; one that is not there is empty metadata.

    Raises:
        MetadataError: the file is not JSON, or not of the shape `{"tags": ["a", "b"]}`.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Metadata()
    except (OSError, UnicodeDecodeError) as error:
        raise MetadataError(f"plugin metadata cannot be read: {error}", where=str(file)) from error
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"plugin metadata is not valid JSON: {error.msg} in column {error.colno}",
            where=f"{file}:{error.lineno}",
            hint='Mend the file; an example: {"tags": ["utils"]}',
        ) from error
    return _checked(data, file)


def _checked(data: Any, file: Path) -> Metadata:
    if not isinstance(data, dict):
        raise MetadataError(
            f"plugin metadata is a {type(data).__name__}, not an object",
            where=str(file),
            hint='Write an object, such as {"tags": ["utils"]}',
        )
    tags = data.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise MetadataError(
            "'tags' in plugin metadata is not a list of strings",
            where=str(file),
            hint='Write a list, such as {"tags": ["utils"]}',
        )
    return Metadata(tags=frozenset(tags))
