"""What is deployed: versions, and the plugins with what stands in their files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from opa import __version__
from opa.introspection import plugins_of

if TYPE_CHECKING:
    from opa import PluginManager

DIGEST = 16
"""Characters of a digest."""
MOST_FILES, MOST_BYTES = 2000, 10_000_000
"""Of a plugin that are read."""
MOST_SHOWN = 8
"""Changes of a deploy that are shown."""
LONGEST_SHOWN = 200
"""Characters of one; redis has what others may have written there too."""
LONGEST = 1_000_000
"""Bytes of what is deployed."""
_FOLDERS_OF_OTHERS = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True)
class Deploy:
    """The last time that something else was started than before.

    Attributes:
        at: when that was first done; seconds since the epoch.
        changes: what was different, in a few words each; empty if nothing is known of before.
        more: how many more changes there are.
    """

    at: float
    changes: tuple[str, ...]
    more: int


def deployed(manager: PluginManager) -> tuple[str, str]:
    """A digest of what is deployed, and that itself as JSON, with the time."""
    plugins = {
        plugin.name: [plugin.version, _digest_of(Path(plugin.file))]
        for plugin in plugins_of(manager)
        if not plugin.built_in and plugin.status == "loaded"
    }
    what = {"opa": __version__, "project": str(manager.config.PROJECT_VERSION), "plugins": plugins}
    digest = sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:DIGEST]
    return digest, json.dumps(what | {"at": round(time(), 3)})


def _digest_of(file: Path) -> str:
    digest = sha256()
    try:
        for each in _files_of(file):
            digest.update(str(each.relative_to(file.parent)).encode("utf-8", "replace"))
            digest.update(each.read_bytes())
    except (OSError, ValueError):  # it was changed meanwhile; the next start sees it
        digest.update(b"?")
    return digest.hexdigest()[:DIGEST]


def _files_of(file: Path) -> Iterator[Path]:
    folder = file.parent if file.name == "__init__.py" else file if file.is_dir() else None
    if folder is None:
        yield file
        return
    count, size = 0, 0
    for each in sorted(folder.rglob("*")):
        parts = each.relative_to(folder).parts
        if any(part in _FOLDERS_OF_OTHERS or part.startswith(".") for part in parts) or not each.is_file():
            continue
        count, size = count + 1, size + each.stat().st_size
        if count > MOST_FILES or size > MOST_BYTES:
            return
        yield each


def last_deploy(found: Mapping[str, str]) -> Deploy | None:
    """The newest one of what redis has, by mode: of the api, a worker or beat."""
    current = {mode: _read(text) for mode, text in found.items() if not mode.endswith(":before")}
    known = {mode: what for mode, what in current.items() if what is not None}
    if not known:
        return None
    mode, what = max(known.items(), key=lambda item: item[1]["at"])
    before = _read(found.get(f"{mode}:before", ""))
    changes = [] if before is None else list(_changes(before, what))
    shown = tuple(change[:LONGEST_SHOWN] for change in changes[:MOST_SHOWN])
    return Deploy(what["at"], shown, max(0, len(changes) - MOST_SHOWN))


def _read(text: str) -> dict[str, Any] | None:
    if len(text) > LONGEST:
        return None
    try:
        what = json.loads(text[DIGEST:])
    except (ValueError, RecursionError):
        return None
    kinds = {"opa": str, "project": str, "plugins": dict, "at": float | int}
    if not isinstance(what, dict) or not all(isinstance(what.get(name), kind) for name, kind in kinds.items()):
        return None
    return what


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, label in (("project", "version"), ("opa", "opa-stack")):
        if before[name] != now[name]:
            yield f"{label} {now[name]}, before {before[name]}"
    old, new = before["plugins"], now["plugins"]
    yield from (f"plugin {name} is new" for name in new if name not in old)
    yield from (f"plugin {name} changed" for name in new if name in old and new[name] != old[name])
    yield from (f"plugin {name} is gone" for name in old if name not in new)
