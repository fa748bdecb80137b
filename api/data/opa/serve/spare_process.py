"""What the process in spare does until it is needed; see `opa.serve.spare`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

from opa.process.orphans import end_with_parent
from opa.serve.command import command
from opa.serve.packages import installed_packages

Stamp = tuple[int, int, int]


def wait_for_go(supervisor: int, mistakes: Path, imports: Path, readable: int) -> None:
    """Import, wait, and return when this is to be the process that serves.

    It ends where nobody needs it any more. Where a file that it has imported has changed, or a package was installed,
    it begins anew as a process that was never in spare.

    Args:
        supervisor: process id of the parent.
        mistakes: for the command of that one.
        imports: a file with the names of what is imported.
        readable: a pipe on which a line says that it is time, with variables for the environment.
    """
    end_with_parent(supervisor)
    began, packages = time.time_ns(), installed_packages()
    names = "[]"
    with contextlib.suppress(FileNotFoundError):  # it is needed already, and the next list is not there yet
        names = imports.read_text()
    with warnings.catch_warnings(action="ignore"):  # as in any process that imports them for the first time
        for name in json.loads(names):
            with contextlib.suppress(Exception):  # the start says what is wrong with it
                import_module(name)
    files = _files()
    with os.fdopen(readable, "rb") as pipe:
        line = pipe.readline()
    if not line:
        sys.exit()
    os.environ.update(json.loads(line))
    if installed_packages() != packages or _have_changed(files, began):
        os.execv(sys.executable, command(supervisor, mistakes, imports))  # noqa: S606
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _files() -> dict[str, Stamp | None]:
    """What was imported, with stamps."""
    modules = [module for module in sys.modules.values() if isinstance(module, ModuleType)]
    return {file: _stamp(file) for module in modules if (file := getattr(module, "__file__", None))}


def _have_changed(files: dict[str, Stamp | None], since: int) -> bool:
    """Whether one of them is another one now, or was written while they were imported."""
    return any(stamp is None or stamp[2] >= since or _stamp(file) != stamp for file, stamp in files.items())


def _stamp(file: str) -> Stamp | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - there are a thousand
    except NotADirectoryError:  # it is in an archive
        return _stamp(os.path.dirname(file))  # noqa: PTH120 - as above
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


if __name__ == "__main__":
    # Ctrl-C is not for it; when it serves, it is an end and not a stack trace, until the server handles it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _supervisor, _mistakes, _imports, _readable = sys.argv[1:]
    wait_for_go(int(_supervisor), Path(_mistakes), Path(_imports), int(_readable))
    sys.argv[1:] = [_supervisor, _mistakes, _imports]

    from opa.serve.single import main

    main()
