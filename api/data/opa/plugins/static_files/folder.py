"""The folder `static/` of a plugin: which file in it a path names, and the digest of that."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from opa import OpaError, get_plugin_manager, log
from opa.plugins.static_files.names import is_served

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DIGEST_LENGTH = 16
"""Hexadecimal digits."""
SETTLED = 2.0
"""Seconds after which a file that is written again surely has another time: file systems count in steps."""
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES})
_EPOCH = 315_532_800
"""1980, the first year of a zip file: the time of files whose archive is not found."""


@dataclass(frozen=True)
class Found:
    """A file that is served, as it was when it was looked for."""

    path: str
    stat: os.stat_result


class Folder:
    """The folder of one plugin. Its methods read from the file system, and may wait for it.

    Args:
        plugin: its name.
        place: where it is; in an archive, it is copied when it is used for the first time.
    """

    def __init__(self, plugin: str, place: Path | Traversable) -> None:
        self._plugin = plugin
        self._place = place
        self._lock = Lock()
        self._copy: tuple[int, str] | None = None
        self._root = os.path.realpath(place) if isinstance(place, Path) else ""
        self._exact: set[str] = set()
        self._unreadable: set[str] = set()
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}

    def check(self) -> None:
        """See that it lies in its plugin.

        Raises:
            OpaError: it is a link out of it, or to all of it.
        """
        if isinstance(self._place, Path):
            package = os.path.realpath(self._place.parent)
            if not self._root.startswith(f"{package}{os.sep}"):
                raise OpaError(
                    f"'{self._place.name}' of plugin '{self._plugin}' is a link that leads out of the plugin, to"
                    f" {self._root}",
                    where=str(self._place),
                    hint="Make it a folder with the files: nothing is served from elsewhere",
                )

    def find(self, path: str) -> Found | None:
        """The file that `path` names, with slashes between names; None where that is nothing that is served.

        A link is followed as long as it stays in the folder and leads to what is served by its own name.
        """
        names = path.split("/")
        if not all(map(is_served, names)):
            return None
        root = self.root()
        file = os.path.join(root, *names)  # noqa: PTH118 - a Path would drop parts
        try:
            real = os.path.realpath(file)
            if real != file and not self._is_inside(real, root):
                return None
            found = os.stat(real)  # noqa: PTH116 - of a text
            if not stat.S_ISREG(found.st_mode) or not self._has_exactly(names, root, is_link=real != file):
                return None
        except ValueError:  # a half character
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        return Found(real, found) if self._is_readable(real) else None

    def digest(self, found: Found) -> str:
        """Of what is in the file: it is read again only when the file has changed."""
        now = found.stat
        stamp = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        known = self._digests.get(found.path)
        if known is not None and known[0] == stamp:
            return known[1]
        is_settled = time.time() - now.st_ctime > SETTLED
        with open(found.path, "rb") as file:  # noqa: PTH123 - of a text
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_LENGTH]
        if is_settled:
            self._digests[found.path] = stamp, digest
        return digest

    def root(self) -> str:
        """Its path, without links."""
        if self._root:
            return self._root
        with self._lock:
            # Also after a fork: the other process removes its own.
            if self._copy is None or self._copy[0] != os.getpid():
                path = os.path.realpath(tempfile.mkdtemp(prefix=f"opa-static-{self._plugin}-"))
                weakref.finalize(self, _remove, path, os.getpid())
                _copy(self._place, Path(path), _time_of_archive(str(self._place)))
                self._copy = os.getpid(), path
            return self._copy[1]

    def _is_inside(self, real: str, root: str) -> bool:
        inside = f"{root}{os.sep}"
        return real.startswith(inside) and all(map(is_served, Path(real.removeprefix(inside)).parts))

    def _has_exactly(self, names: list[str], root: str, *, is_link: bool) -> bool:
        """Whether these are the names as they stand: some file systems find them in any case, or spelt otherwise."""
        path = "/".join(names)
        if path in self._exact:
            return True
        parent = root
        for name in names:
            if name not in os.listdir(parent):  # noqa: PTH208 - of a text
                return False
            parent = os.path.join(parent, name)  # noqa: PTH118
        if not is_link:  # of which a circle would make any number of paths
            self._exact.add(path)
        return True

    def _is_readable(self, path: str) -> bool:
        try:
            with open(path, "rb"):  # noqa: PTH123 - of a text
                self._unreadable.discard(path)
                return True
        except PermissionError as error:
            if path not in self._unreadable:
                self._unreadable.add(path)
                log.warning("a file in static/ of plugin '{}' is answered 404: {}", self._plugin, error)
            return False


def known_folders() -> dict[str, Folder]:
    """Those of the running application that were used, by plugin."""
    folders: dict[str, Folder] = get_plugin_manager().kept.setdefault(__name__, {})
    return folders


def folder_of(plugin: str, place: Path | Traversable) -> Folder:
    """That of a plugin of the running application."""
    folders = known_folders()
    return folders.get(plugin) or folders.setdefault(plugin, Folder(plugin, place))


def _copy(place: Path | Traversable, to: Path, time_of_files: float) -> None:
    for entry in place.iterdir():
        if is_served(entry.name):
            target = to / entry.name
            if entry.is_dir():
                target.mkdir()
                _copy(entry, target, time_of_files)
            else:
                with entry.open("rb") as read, target.open("wb") as write:
                    shutil.copyfileobj(read, write)
                # By which processes tell a browser that it has the file: the same in each of them.
                os.utime(target, (time_of_files, time_of_files))


def _time_of_archive(place: str) -> float:
    archive = next((parent for parent in Path(place).parents if parent.is_file()), None)
    return archive.stat().st_mtime if archive is not None else _EPOCH


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
